"""The rows of a service's endpoints."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchlib.endpoints import rows_of  # noqa: E402
from clusterlib.errors import ClusterError  # noqa: E402

OURS = {
    **{(what, "multinet"): [{"milliseconds": 1.0}] for what in ("none", "one", "hundred")},
    ("cold", "multinet"): [{"milliseconds": 100.0, "kib": 2048}],
}
CORE = {
    **{(what, "core"): [{"milliseconds": 40.0}] for what in ("none", "one", "hundred")},
    ("cold", "core"): [{"milliseconds": 200.0, "kib": 20480}],
}


def test_each_is_held_against_its_bar_and_the_peer() -> None:
    rows = rows_of({**OURS, **CORE})
    verdicts = {row.what: [one.verdict() for one in row.comparisons] for row in rows}
    assert verdicts["5000 endpoints, none changed"] == ["missed", "met"]
    assert verdicts["5000 endpoints, hundred changed"] == ["met", "met"]
    assert verdicts["1000 services of 100: a start"] == ["missed"]
    assert verdicts["1000 services of 100: what it holds then"] == ["met"]


def test_without_the_peer_ours_stands_alone() -> None:
    rows = rows_of(OURS)
    assert [len(row.comparisons) for row in rows] == [1, 1, 1, 0, 0]
    with pytest.raises(ClusterError, match="one"):
        rows_of({key: value for key, value in OURS.items() if key[0] != "one"})
