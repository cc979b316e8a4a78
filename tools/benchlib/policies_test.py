"""The rows of policies."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pytest  # noqa: E402

from benchlib.policies import rows_of  # noqa: E402
from clusterlib.errors import ClusterError  # noqa: E402

_CASES = ("100 peers", "10000 peers", "100000 peers")


def samples() -> list[dict[str, object]]:
    trips = {"port security": 4.0, "100 peers": 5.0, "10000 peers": 5.0, "100000 peers": 10.0}
    all_of = [("round trips", case, took) for case, took in trips.items()]
    connections = {"port security": 4.0, "100 peers, no shares": 5.0, "100 peers": 6.0}
    all_of += [("connections", case, took) for case, took in connections.items()]
    changes = ("first commit", "peer more", "peer less", "port more", "port less")
    changes += ("peer more or less, decided",)
    all_of += [(what, case, 1.0) for case in _CASES for what in changes]
    return [{"what": w, "case": c, "round": 0, "milliseconds": took} for w, c, took in all_of]


def test_few_peers_are_compared_with_none_and_many_with_few() -> None:
    rows = rows_of(samples())
    ratios = {row.what: [one.estimate.median for one in row.comparisons] for row in rows[:4]}
    assert ratios == {
        "2000 trips: port security": [],
        "2000 trips: 100 peers": [1.25],
        "2000 trips: 10000 peers": [1.0],
        "2000 trips: 100000 peers": [2.0],
    }
    assert len(rows) == 4 + 3 + 18


def test_connections_are_compared_with_those_of_senders_without_a_share() -> None:
    (few,) = [row for row in rows_of(samples()) if row.what == "500 connections: 100 peers"]
    assert [one.estimate.median for one in few.comparisons] == [1.2]


def test_what_wasnt_measured_is_an_error() -> None:
    with pytest.raises(ClusterError, match="port less"):
        rows_of([one for one in samples() if one["what"] != "port less"])
