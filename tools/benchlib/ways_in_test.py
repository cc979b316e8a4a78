"""The rows of ways into networks, and of slices."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchlib.ways_in import acted, rows_of  # noqa: E402
from clusterlib.errors import ClusterError  # noqa: E402

WAYS = {
    "direct": 100.0,
    "kube-proxy": 140.0,
    "gateway": 150.0,
    "kube-proxy, other node": 150.0,
    "gateway, other node": 190.0,
}
FOUND = {
    ("slice idle", "multinet"): [20.0] * 19 + [60.0],
    ("slice busy", "multinet"): [20.0] * 20,
    ("slice idle", "core"): [150.0] * 20,
    ("slice busy", "core"): [300.0] * 20,
    ("node idle", "multinet"): [30.0] * 20,
    ("node busy", "multinet"): [180.0] * 20,
    ("node idle", "core"): [200.0] * 20,
    ("node busy", "core"): [250.0] * 20,
    **{
        (what, way): [value] * 20
        for what in ("connect", "rtt", "stream")
        for way, value in WAYS.items()
    },
}


def test_each_figure_is_held_against_its_bar() -> None:
    verdicts = [
        (row.group, row.what, one.to, one.verdict())
        for row in rows_of(FOUND)
        for one in row.comparisons
        if one.at_most is not None
    ]
    busy = ", at 100 changes a second"
    slices, nodes = (
        "from the call that deletes a pod to its slice",
        "  to the last connection to it from any node",
    )
    assert verdicts == [
        ("S3", slices, "", "missed"),
        ("S3", nodes, "", "met"),
        ("S3", nodes, "kube-proxy, P99", "met"),
        ("S3", slices + busy, "", "met"),
        ("S3", nodes + busy, "", "met"),
        ("S3", nodes + busy, "kube-proxy, P99", "missed"),
        (
            "S10",
            "connect from another machine by a NodePort of a service on a network",
            "a process of the node",
            "met",
        ),
    ]


def test_the_last_node_counts() -> None:
    found = {("deleted idle", "a"): [10.0], ("deleted idle", "b"): [20.0]}
    found |= {("connect", "direct"): [100.0, 101.0]}  # what else was measured
    nodes = [
        {"multinet": {"a": 10.03, "b": 19.9}, "core": {"a": 10.2, "b": 20.1}},
        {"multinet": {"a": 9.99, "b": 19.8}, "core": {"a": 10.1, "b": 20.3}},
    ]
    got = {key: [round(one) for one in values] for key, values in acted(found, nodes).items()}
    assert got == {("node idle", "multinet"): [30, 0], ("node idle", "core"): [200, 300]}
    with pytest.raises(ClusterError, match="b by multinet"):
        acted(found, [*nodes, {"multinet": {"a": 10.0}, "core": {"a": 10.0}}])


def test_what_was_not_measured_is_an_error() -> None:
    found = {key: value for key, value in FOUND.items() if key != ("stream", "gateway")}
    with pytest.raises(ClusterError, match="gateway"):
        rows_of(found)
