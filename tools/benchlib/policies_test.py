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
    trips = {"port security": 4.0, "tracking alone": 4.0, "100 peers": 5.0, "10000 peers": 5.0}
    trips["100000 peers"] = 10.0
    all_of = [("round trips", case, took) for case, took in trips.items()]
    connections = {"port security": 4.0, "tracking alone": 5.0, "100 peers, no shares": 5.0}
    connections["100 peers"] = 6.0
    all_of += [("connections", case, took) for case, took in connections.items()]
    changes = ("first commit", "peer more", "peer less", "peer more, by nft", "attach")
    all_of += [(what, case, 1.0) for case in _CASES for what in changes]
    all_of += [("first rules in a pod", case, 1.0) for case in ("10 peers", "1000 peers")]
    once = ("attach beside 200000 elements", "restart", "restart, transactions")
    once += tuple(f"kernel's memory{of}" for of in ("", ", a set a pod"))
    once += tuple(f"agent's memory{of}" for of in ("", ", of slices", ", resident"))
    all_of += [(what, "10000 peers", 2.0) for what in once]
    return [{"what": w, "case": c, "round": 0, "milliseconds": took} for w, c, took in all_of]


def test_few_peers_are_compared_with_none_and_many_with_few() -> None:
    rows = rows_of(samples())
    ratios = {row.what: [one.estimate.median for one in row.comparisons] for row in rows[:5]}
    assert ratios == {
        "2000 trips: port security": [],
        "2000 trips: tracking alone": [1.0],
        "2000 trips: 100 peers": [1.25, 1.25],
        "2000 trips: 10000 peers": [1.0],
        "2000 trips: 100000 peers": [2.0],
    }
    assert len(rows) == 5 + 4 + 15 + 10


def test_connections_are_compared_with_none_with_tracking_and_with_senders_without_a_share() -> (
    None
):
    (few,) = [row for row in rows_of(samples()) if row.what == "500 connections: 100 peers"]
    assert [one.estimate.median for one in few.comparisons] == [1.5, 1.2, 1.2]


def test_bars_are_told_to_be_missed_or_met() -> None:
    rows = {row.what: row for row in rows_of(samples())}
    verdicts = {what: [one.verdict() for one in row.comparisons] for what, row in rows.items()}
    assert verdicts["peer more, of 10000 peers"] == ["missed", ""]
    assert verdicts["attach beside 200000 elements, of 10000 peers"] == ["met"]
    assert verdicts["first rules in a pod, of 1000 peers"] == ["met"]
    assert verdicts["restart, of 10000 peers"] == ["met"]
    assert verdicts["restart, of 10000 peers: transactions"] == ["missed"]
    assert verdicts["kernel's memory, of 10000 peers"] == ["missed"]


def test_what_wasnt_measured_is_an_error() -> None:
    with pytest.raises(ClusterError, match="peer less"):
        rows_of([one for one in samples() if one["what"] != "peer less"])
