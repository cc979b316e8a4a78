"""Which trees are built for the tests, and which labels run in which of them: docs/testing.md."""

from __future__ import annotations

import os
from dataclasses import dataclass

JOBS = os.cpu_count() or 2


@dataclass(frozen=True)
class Run:
    """One label of one tree."""

    tree: str
    label: str
    jobs: int = JOBS
    only: str = ""  # a pattern of test names; empty: all of the label
    needs_cluster: bool = False

    @property
    def name(self) -> str:
        return f"{self.tree}/{self.label}"


# What `cmake --build` is asked for.
TARGETS = {
    "release": ("all",),
}

# Cheap and telling ones first; the tests of time and of kills have the machine for themselves.
RUNS = (
    Run("release", "unit"),
    Run("release", "netns"),
    Run("release", "fault", jobs=1),
    Run("release", "e2e", jobs=1, needs_cluster=True),
)


def chosen(names: list[str]) -> list[Run]:
    """The runs that `TREE` or `TREE/LABEL` names; all when nothing is named."""
    for name in names:
        if not any(name in (run.tree, run.name) for run in RUNS):
            known = ", ".join([*TARGETS, *(run.name for run in RUNS)])
            raise ValueError(f"no run is called {name!r}; there are {known}")
    return [run for run in RUNS if not names or run.tree in names or run.name in names]
