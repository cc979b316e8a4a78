"""The rows of P4, P6 and P7, of what the measuring program prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchlib import sandbox, storm, thick  # noqa: E402
from benchlib.rows import Memory  # noqa: E402
from benchlib.thick import Thick  # noqa: E402

SHOWN = ("no interface", "one interface", "two interfaces")
LOG = ['I attached pod=default/bench-one sandbox=s steps="resolve 0.10 forward 99.00 attach 1.00"']


class Cluster:
    """A node without anything on it."""

    def stop(self, component: str) -> None:
        assert component == "kubelet"

    def make_networks(self, manifests: list[dict[str, Any]]) -> None:
        assert manifests

    def make_pods(self, networks: dict[str, str]) -> dict[str, dict[str, Any]]:
        metadata = {"namespace": "default", "uid": "u"}
        return {name: {"metadata": {**metadata, "name": name}} for name in networks}

    def start_agent_before(self, listen: str, runtime: str) -> subprocess.Popen[bytes]:
        assert listen and runtime.startswith("unix://")
        return subprocess.Popen(["true"])

    def inside(self, command: list[str]) -> list[str]:
        return command

    def agent_log(self) -> list[str]:
        return LOG


def test_the_agents_part_is_what_neither_runtime_nor_relay_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outside = {"relay": 0.5, "none": 0.75, "one": 2.0, "two": 3.0}
    outside |= {"floor of none": 1.0, "floor of one": 1.25, "floor of two": 1.5}
    lines = [
        {
            "case": case,
            "round": number,
            "milliseconds": 100 + own,
            "behindRelay": 100,
            "stopMilliseconds": 80 + own,
            "stopBehindRelay": 80,
        }
        for number in range(10)
        for case, own in outside.items()
    ]
    monkeypatch.setattr(sandbox, "samples_of", lambda *_: [dict(line) for line in lines])
    bench = sandbox.SandboxBench(Cluster(), Path("program"))  # type: ignore[arg-type]
    part = bench.agents_part(10, 10, {"none": 0.35, "one": 1.0})
    rows = {row.what.strip(): row.comparisons for row in part.rows}
    verdicts = [rows[f"the agent's part, {case}"][0].verdict() for case in SHOWN]
    assert verdicts == ["met", "missed", ""]
    assert rows["the floor at the pods' pace, one interface"][0].estimate.median == 0.75
    by_floor, factor = rows["the agent's part, one interface"][1:]
    assert by_floor.at_most == round(0.35 + 0.5 + 1.3 * 0.25, 2) and by_floor.verdict() == "missed"
    assert factor.estimate.median == 2.0
    assert [row.comparisons[0].verdict() for row in part.stops] == ["met", "missed", "missed"]
    steps = part.steps["one interface"]
    assert {name: round(time, 2) for name, time in steps.items()} == {
        "resolve": 0.1,
        "attach": 1.0,
        "relay and the rest": 0.4,
    }


def test_a_storm_tells_both_walls_failures_and_memory() -> None:
    lines = [
        {"case": case, "round": 0, "milliseconds": took, "stopMilliseconds": took, "failed": failed}
        for case, took, failed in (("alone", 10_000, 0), ("floor", 10_500, 0), ("agent", 11_000, 2))
    ]
    agent = Memory("multinet-nodeagent", "after the storm", 1, 1, 40 * 1024)
    still = [{**line, "milliseconds": 8000, "failed": 0} for line in lines]
    multus = Memory("multus-daemon", "after 440 interfaces", 1, 1, 100 * 1024)
    rows = {row.what.strip(): row for row in storm.rows_of(lines, still, agent, multus)}
    held = rows["the same, the control plane stands still: agent"].comparisons[0]
    assert held.estimate.median == 1.0
    assert held.verdict() == ""
    of_floor = rows["110 pods at once made: the floor"].comparisons[0]
    assert of_floor.estimate.median == 1.05
    assert rows["110 pods at once made: agent, 4 interfaces each"].comparisons[0].verdict() == (
        "missed"
    )
    assert rows["calls that failed"].comparisons[0].verdict() == "missed"
    memory = rows["the agent's highest resident memory"].comparisons
    assert [one.verdict() for one in memory] == ["met", "missed"]
    alone = storm.rows_of(lines, still, agent, None)
    assert len(alone[-1].comparisons) == 1, "nothing is compared with what wasn't measured"


def test_the_storm_by_multus_tells_both_walls_failures_and_memory() -> None:
    memory = Memory("multus-daemon", "after 440 interfaces", 1, 1, 200 * 1024)
    rows = {
        row.what.strip(): row.values[0] for row in thick.rows_of(Thick(9.0, 5.0, ["x"], memory))
    }
    assert rows == {
        "110 pods at once made, their 4 interfaces alone: Multus thick": 9.0,
        "110 pods at once stopped, their 4 interfaces alone: Multus thick": 5.0,
        "calls that failed: Multus thick": 1,
        "Multus thick's highest resident memory": 200.0,
    }
