"""The rows of P9."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchlib import leases  # noqa: E402
from benchlib.leases import Took  # noqa: E402


def test_addresses_are_compared_and_doubles_are_told() -> None:
    ours = {"claim": Took(1000, 999, 2.0), "again": Took(1000, 1000, 0.01)}
    rows = leases.rows_of(ours, Took(100, 100, 20.0))
    verdicts = {row.what.strip(): [one.verdict() for one in row.comparisons] for row in rows}
    assert verdicts == {
        "an address, 100 on 10 nodes at once: Whereabouts": [],
        "an address, 1000 on 10 nodes at once: ours": ["met", "met"],
        "an address, 1000 on 10 nodes at once: ours, the same pods again": [],
        "given twice": ["missed"],
    }
    slow = leases.rows_of({"claim": Took(10, 10, 1.0), "again": Took(10, 10, 1.0)}, None)
    assert slow[0].missing
    assert slow[1].comparisons[0].verdict() == "missed"
