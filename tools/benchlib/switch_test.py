"""The rows of the switch."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchlib.switch import rows_of  # noqa: E402


def samples(*cases: tuple[str, float]) -> list[dict[str, object]]:
    place = {"path": "VXLAN, one node", "what": "send"}
    return [{**place, "case": case, "round": 0, "milliseconds": took} for case, took in cases]


def test_the_switch_is_compared_with_the_node_under_the_same_firewall() -> None:
    rows = rows_of(
        samples(
            ("switch, bridge-nf", 1.0),
            ("node", 4.0),
            ("switch", 2.0),
            ("node, bridge-nf", 8.0),
            ("secured", 3.0),
        )
    )
    assert [row.what.rpartition(": ")[2] for row in rows] == [
        "node",
        "switch",
        "port security",
        "node, nf",
        "switch, nf",
    ]
    ratios = [[one.estimate.median for one in row.comparisons] for row in rows]
    assert ratios == [[], [0.5], [1.5], [], [0.125]]


def test_a_kernel_without_bridge_nf_is_told() -> None:
    rows = rows_of(samples(("node", 4.0), ("switch", 2.0), ("secured", 2.0)))
    assert [bool(row.missing) for row in rows] == [False, False, False, True, True]
