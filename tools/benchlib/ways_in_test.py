"""The rows of ways into networks, and of slices."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchlib.ways_in import rows_of  # noqa: E402
from clusterlib.errors import ClusterError  # noqa: E402

FOUND = {
    ("slice", "multinet"): [20.0] * 19 + [60.0],
    ("slice", "core"): [150.0] * 20,
    **{
        (what, way): [value] * 20
        for what in ("connect", "stream")
        for way, value in (("direct", 100.0), ("kube-proxy", 140.0), ("gateway", 150.0))
    },
}


def test_each_figure_is_held_against_its_bar() -> None:
    verdicts = {
        (row.group, one.to): one.verdict()
        for row in rows_of(FOUND)
        for one in row.comparisons
        if one.at_most is not None
    }
    assert verdicts == {
        ("S3", ""): "missed",
        ("S10", "a process of the node"): "met",
    }


def test_what_was_not_measured_is_an_error() -> None:
    found = {key: value for key, value in FOUND.items() if key != ("stream", "gateway")}
    with pytest.raises(ClusterError, match="gateway"):
        rows_of(found)
