"""What runs, in which order, and what the summary says. Run: python3 -m pytest tools/testlib."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from testlib.plan import RUNS, TARGETS, Run, chosen  # noqa: E402
from testlib.results import Results, Skip  # noqa: E402
from testlib.session import Session  # noqa: E402


@dataclass
class FakeDoer:
    broken: set[str] = field(default_factory=set)
    results: Results = Results(passed=2)
    done: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.done.append(text.split(":")[0])

    def build(self, tree: str) -> bool:
        self.done.append(f"build {tree}")
        return tree not in self.broken

    def build_cluster_parts(self) -> bool:
        self.done.append("parts")
        return "parts" not in self.broken

    def test(self, run: Run) -> Results:
        self.done.append(run.name)
        return self.results


PLAN = [Run("a", "unit"), Run("b", "unit"), Run("b", "fuzz"), Run("a", "e2e", needs_cluster=True)]


def session(doer: FakeDoer) -> Session:
    made = Session(doer)
    made.run(PLAN)
    return made


def test_builds_what_a_run_needs_once_and_not_before() -> None:
    doer = FakeDoer()
    made = session(doer)
    assert doer.done == ["build a", "a/unit", "build b", "b/unit", "b/fuzz", "parts", "a/e2e"]
    assert made.total == Results(passed=8)
    assert made.succeeded


def test_a_failing_build_fails_the_whole_and_leaves_out_its_runs_only() -> None:
    doer = FakeDoer(broken={"b"})
    made = session(doer)
    assert [entry for entry in doer.done if "b/" in entry] == [
        "b/unit is left out",
        "b/fuzz is left out",
    ]
    assert made.total == Results(passed=4, failed=1)
    assert not made.succeeded


def test_without_the_clusters_parts_there_is_no_end_to_end_run() -> None:
    doer = FakeDoer(broken={"parts"})
    made = session(doer)
    assert "a/e2e" not in doer.done
    assert made.total == Results(passed=6, failed=1)


def test_nothing_passed_is_no_success() -> None:
    assert not session(FakeDoer(results=Results())).succeeded


def test_the_summary_has_a_row_for_each_step_and_each_skip() -> None:
    made = session(FakeDoer(results=Results(3, 1, (Skip("x.y", "no KVM", 2),))))
    lines = made.summary().splitlines()
    assert lines[0] == "SKIPPED x.y (2 tests): no KVM"
    assert [line.split()[0] for line in lines if re.match(r"^[ab]/", line)] == [
        "a/unit", "b/unit", "b/fuzz", "a/e2e",
    ]  # fmt: skip
    assert re.fullmatch(r"b/fuzz +3 +1 +2 +0", lines[-3 - 1])
    assert lines[-1] == "12 passed, 4 failed, 8 skipped"


def test_runs_are_chosen_by_tree_or_by_label() -> None:
    assert chosen([]) == list(RUNS)
    assert {run.tree for run in chosen(["asan"])} == {"asan"}
    assert [run.name for run in chosen(["release/e2e", "tsan"])] == ["tsan/unit", "release/e2e"]
    with pytest.raises(ValueError, match=r"'nosuch'; there are .*release/unit"):
        chosen(["nosuch"])


def test_each_tree_has_targets_and_a_preset() -> None:
    presets = (Path(__file__).resolve().parents[2] / "CMakePresets.json").read_text()
    assert {run.tree for run in RUNS} == set(TARGETS)
    for tree in TARGETS:
        assert f'"name": "{tree}"' in presets
