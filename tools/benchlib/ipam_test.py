"""The rows of P8, of what the measuring programs print."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchlib import ipam  # noqa: E402


def test_each_case_has_its_bars_and_what_the_peer_has_stands_beside_it() -> None:
    ours = {(24, 0): [40.0] * 10, (24, 100): [3000.0] * 10, (64, 0): [45.0] * 10}
    rows = ipam.rows_of(ours, {(24, 0): [800.0] * 10, (24, 100): [2400.0] * 10})
    verdicts = {row.what: [one.verdict() for one in row.comparisons] for row in rows}
    assert verdicts == {
        "a pair, /24, 0 % full: API server's bitmap": [],
        "a pair, /24, 0 % full: ours": ["met", "met"],
        "a pair, /24, 100 % full: API server's bitmap": [],
        "a pair, /24, 100 % full: ours": ["missed", "missed"],
        "a pair, /64, 0 % full: ours": ["met"],
    }


def test_a_peer_that_cant_be_built_is_a_row() -> None:
    rows = ipam.rows_of({(24, 0): [40.0]}, {})
    assert rows[-1].missing == "it can't be built"
