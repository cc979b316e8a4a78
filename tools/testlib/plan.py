"""Which trees are built for the tests, and which labels run in which of them: docs/testing.md."""

from __future__ import annotations

import os
from dataclasses import dataclass

JOBS = os.cpu_count() or 2
# At once: they mostly wait, and each takes some 35 inotify instances, of which a machine has 128.
CLUSTERS = min(JOBS + 1, 3)


@dataclass(frozen=True)
class Run:
    """One label of one tree."""

    tree: str
    label: str
    jobs: int = JOBS
    only: str = ""  # a pattern of test names; empty: all of the label
    needs_parts: bool = False  # of the cluster
    mostly_waits: bool = False  # what comes later is built beside it, at the lowest priority
    times_nothing: bool = False  # may run beside it, too

    @property
    def name(self) -> str:
        return f"{self.tree}/{self.label}"


# What `cmake --build` is asked for. Under sanitizers are who handles bytes, memory and threads for the
# others: cmake/Room.cmake.
TARGETS = {
    "release": ("all",),
    "asan": ("sanitized_tests", "fuzz_tests"),
    "tsan": ("lib_async_test", "lib_kube_test"),
}

# Tests of time and of kills mostly wait; two at once leave each of them a processor.
FAULTS = min(JOBS, 2)

# Cheap and telling ones first; those of time and of kills have the machine for themselves, but for
# what is built beside the clusters.
RUNS = (
    Run("release", "project"),
    # CRI is compared with the modules that the cluster's parts are built of.
    Run("release", "unit", needs_parts=True),
    Run("release", "netns"),
    Run("release", "vm"),
    Run("release", "fault", jobs=FAULTS),
    Run("release", "e2e", jobs=CLUSTERS, needs_parts=True, mostly_waits=True),
    Run("release", "tidy", times_nothing=True),
    Run("asan", "unit"),
    Run("asan", "fault", jobs=FAULTS),
    Run("asan", "fuzz"),
    Run("tsan", "unit", only="^(lib_async|lib_kube)_test"),
)


def chosen(names: list[str]) -> list[Run]:
    """The runs that `TREE` or `TREE/LABEL` names; all when nothing is named."""
    for name in names:
        if not any(name in (run.tree, run.name) for run in RUNS):
            known = ", ".join([*TARGETS, *(run.name for run in RUNS)])
            raise ValueError(f"no run is called {name!r}; there are {known}")
    return [run for run in RUNS if not names or run.tree in names or run.name in names]
