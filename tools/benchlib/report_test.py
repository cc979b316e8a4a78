"""What the table, the JSON and the plot say."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchlib.plot import svg  # noqa: E402
from benchlib.report import as_json, table  # noqa: E402
from benchlib.rows import Comparison, Memory, Results, Row  # noqa: E402
from benchlib.stats import Estimate  # noqa: E402

MACHINE = {"cores": 2, "memoryGiB": 4, "kernel": "6.1", "processor": "A processor"}


def results(busy: float = 0.02) -> Results:
    compared = Comparison("CNI", "x", Estimate(0.03, 0.02, 0.04), 0.05)
    part = Comparison("runtime alone", "ms", Estimate(0.3, 0.1, 0.5), 0.2)
    return Results(
        "2026-01-01 00:00 UTC",
        MACHINE,
        {"before": busy},
        [
            Row("P1", "one macvlan: attach engine", [0.5, 0.6, 0.7], [compared]),
            Row("P2", "one veth: CNI", missing="no bridge"),
            Row("P4", "RunPodSandbox, runtime alone", [100.0, 110.0, 120.0]),
            Row("P4", "  the agent's part", [-0.1, 0.3, 0.4], [part]),
        ],
        [Memory("multinet-nodeagent", "idle", 20480, 10240, 30720)],
    )


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.1, 0.5, "met"), (0.6, 0.9, "missed"), (0.4, 0.6, "undecided")],
)
def test_only_the_whole_interval_decides(low: float, high: float, verdict: str) -> None:
    assert Comparison("x", "ms", Estimate(0.5, low, high), 0.5).verdict() == verdict


def test_table_says_all() -> None:
    text = table(results())
    assert "0.030 x [0.020, 0.040] of CNI; at most 0.05 x: met" in text
    assert "+0.300 ms [+0.100, +0.500] to runtime alone; at most 0.2 ms: undecided" in text
    assert "20.0      10.0      30.0" in text


def test_a_peer_that_is_missing_is_loud() -> None:
    assert "!!! NOT MEASURED: no bridge" in table(results())
    (row,) = [row for row in json.loads(as_json(results()))["rows"] if row["group"] == "P2"]
    assert row == {"group": "P2", "what": "one veth: CNI", "missing": "no bridge"}


def test_a_busy_machine_is_loud_everywhere() -> None:
    quiet, noisy = results(), results(busy=0.5)
    assert "AREN'T VALID" not in table(quiet)
    assert "THE MACHINE WAS BUSY, THESE FIGURES AREN'T VALID" in table(noisy)
    assert json.loads(as_json(quiet))["quiet"] is True
    assert json.loads(as_json(noisy))["quiet"] is False
    assert "NOT VALID" not in svg(quiet)
    assert "NOT VALID" in svg(noisy)


def test_plot_is_xml_with_a_box_for_each_row_that_was_measured() -> None:
    root = ElementTree.fromstring(svg(results()))
    boxes = [one for one in root.iter() if one.tag.endswith("rect") and "stroke" in one.attrib]
    assert len(boxes) == 3
