"""The rows of services on a node."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchlib.services import rows_of  # noqa: E402
from clusterlib.errors import ClusterError  # noqa: E402

WAYS = ("direct", "plain", "service", "nftables")
FOUND = {
    **{
        (what, way): [4.0 * (number + 1)]
        for what in ("connect", "datagram", "datagram by name", "stream", "8 streams")
        for number, way in enumerate(WAYS)
    },
    ("kernel memory", "maps"): [15.0],
    ("kernel memory", "nftables"): [60.0],
    ("agent memory", "maps"): [6.0],
    ("change", "maps"): [100.0],
    ("change, kernel", "maps"): [20.0],
    ("change", "nftables"): [400.0],
    ("restart", "maps"): [30.0],
    ("restart writes", "maps"): [1.0],
    ("restart", "nftables"): [9000.0],
    ("join", "services"): [40.0],
    ("join", "none"): [1.0],
}


def verdicts(group: str) -> list[str]:
    return [
        one.verdict()
        for row in rows_of(FOUND)
        if row.group == group
        for one in row.comparisons
        if one.at_most is not None
    ]


def test_each_figure_is_held_against_its_bar() -> None:
    assert verdicts("S4") == ["missed", "missed"]
    assert verdicts("S5") == ["missed"] * 4
    assert verdicts("S6") == ["met", "met"]
    assert verdicts("S7") == ["missed", "met", "missed"]
    assert verdicts("S8") == ["met"]
    assert verdicts("S11") == ["met", "missed"]


def test_what_was_not_measured_is_named() -> None:
    short = {key: value for key, value in FOUND.items() if key[0] != "join"}
    with pytest.raises(ClusterError, match="join"):
        rows_of(short)
