"""What runs, in which order, and what the summary says. Run: python3 -m pytest tools/testlib."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from testlib.plan import RUNS, TARGETS, Run, chosen  # noqa: E402
from testlib.results import Failure, Results, Skip  # noqa: E402
from testlib.session import Session  # noqa: E402


@dataclass
class FakeDoer:
    broken: set[str] = field(default_factory=set)
    results: Results = Results(passed=2)
    done: list[str] = field(default_factory=list)
    go_after: str = ""
    go: Event = field(default_factory=Event)

    def say(self, text: str) -> None:
        self.done.append(text.split(":")[0])

    def build(self, tree: str, beside: bool) -> bool:
        self.done.append(f"build {tree}" + (" beside" if beside else ""))
        return tree not in self.broken

    def build_cluster_parts(self) -> bool:
        self.done.append("parts")
        return "parts" not in self.broken

    def test(self, run: Run, beside: bool) -> Results:
        if run.mostly_waits:
            assert self.go.wait(10), "nothing went on beside it"
        if self.go_after in (run.name, f"build {run.tree}"):
            self.go.set()
        self.done.append(run.name + (" beside" if beside else ""))
        return self.results


PLAN = [Run("a", "unit"), Run("b", "unit"), Run("b", "fuzz"), Run("a", "e2e", needs_parts=True)]


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


def test_later_trees_and_what_times_nothing_go_on_beside_what_waits() -> None:
    doer = FakeDoer(go_after="b/tidy")
    made = Session(doer)
    plan = [Run("a", "unit"), Run("a", "e2e", mostly_waits=True), Run("b", "unit")]
    made.run([*plan, Run("b", "tidy", times_nothing=True), Run("c", "unit")])
    assert doer.done[:4] == ["build a", "a/unit", "build b beside", "b/tidy beside"]
    assert set(doer.done[4:6]) == {"a/e2e", "build c beside"}
    assert doer.done[6:] == ["b/unit", "c/unit"]
    assert made.total == Results(passed=10)


def test_a_tree_that_fails_beside_is_told_once() -> None:
    doer = FakeDoer(broken={"b"})
    doer.go.set()
    made = Session(doer)
    made.run([Run("a", "e2e", mostly_waits=True), Run("b", "unit")])
    assert sorted(doer.done) == ["a/e2e", "b/unit is left out", "build a", "build b beside"]
    assert made.total == Results(passed=2, failed=1)


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


def test_the_summary_says_once_more_what_failed() -> None:
    failed = Results(failed=1, failures=(Failure("e2e.x t.py::test_a", "E   left\n" + "x" * 400),))
    lines = session(FakeDoer(results=failed)).summary().splitlines()
    assert lines[:3] == ["FAILED e2e.x t.py::test_a", "    E   left", "    " + "x" * 300]


def test_runs_are_chosen_by_tree_or_by_label() -> None:
    assert chosen([]) == list(RUNS)
    assert {run.tree for run in chosen(["asan"])} == {"asan"}
    assert [run.name for run in chosen(["tsan", "release/e2e"])] == ["release/e2e", "tsan/unit"]
    with pytest.raises(ValueError, match=r"'nosuch'; there are .*release/netns"):
        chosen(["nosuch"])


def test_each_tree_has_targets_and_a_preset() -> None:
    presets = (Path(__file__).resolve().parents[2] / "CMakePresets.json").read_text()
    assert {run.tree for run in RUNS} == set(TARGETS)
    for tree in TARGETS:
        assert f'"name": "{tree}"' in presets
