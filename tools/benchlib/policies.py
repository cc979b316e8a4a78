"""PO: what policies on networks cost a node, beside port security alone and beside few peers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchlib.program import samples_of
from benchlib.rows import Comparison, Row
from benchlib.stats import estimate, factor
from clusterlib.errors import ClusterError

_ROUND_TRIPS = 2000
_TRACKED_AT_MOST, _GROWTH_AT_MOST = 1.20, 1.02
_NONE, _FEW = "port security", "100 peers"
_NO_SHARES = "100 peers, no shares"  # of the table of flows
_CONNECTIONS = 500
_SHARES_AT_MOST = 1.05
_MANY = ("10000 peers", "100000 peers")
_CHANGES = ("peer more", "peer less", "port more", "port less")
_DECIDED = "peer more or less, decided"
_CHANGE_MS_AT_MOST = 0.25


def measure(programs: Path, rounds: int, seconds: int) -> list[Row]:
    """Each round takes each case once."""
    command = ["unshare", "--net", "--mount", "--", str(programs / "multinet-bench-policy")]
    command += [f"--rounds={rounds}", f"--seconds={seconds}", f"--round-trips={_ROUND_TRIPS}"]
    return rows_of(samples_of(command, "", seconds * 4 + 240))


def rows_of(samples: Sequence[Mapping[str, Any]]) -> list[Row]:
    """All of it; what has no round is an error."""
    took: dict[tuple[str, str], list[float]] = defaultdict(list)
    for sample in samples:
        took[sample["what"], sample["case"]].append(sample["milliseconds"])
    try:
        return [*_trips(dict(took)), *_connections(dict(took)), *_changes(dict(took))]
    except KeyError as error:
        raise ClusterError(f"measure policies: nothing was measured of {error}") from None


def _trips(took: Mapping[tuple[str, str], list[float]]) -> list[Row]:
    text = f"{_ROUND_TRIPS} trips"
    none, few = took["round trips", _NONE], took["round trips", _FEW]
    tracked = Comparison(_NONE, "x", factor(few, none), _TRACKED_AT_MOST)
    rows = [Row("PO", f"{text}: {_NONE}", none), Row("PO", f"{text}: {_FEW}", few, [tracked])]
    for case in _MANY:
        many = took["round trips", case]
        growth = Comparison(_FEW, "x", factor(many, few), _GROWTH_AT_MOST)
        rows.append(Row("PO", f"{text}: {case}", many, [growth]))
    return rows


def _connections(took: Mapping[tuple[str, str], list[float]]) -> list[Row]:
    text = f"{_CONNECTIONS} connections"
    none, free, few = (took["connections", case] for case in (_NONE, _NO_SHARES, _FEW))
    cost = Comparison(_NO_SHARES, "x", factor(few, free), _SHARES_AT_MOST)
    return [
        Row("PO", f"{text}: {_NONE}", none),
        Row("PO", f"{text}: {_NO_SHARES}", free),
        Row("PO", f"{text}: {_FEW}", few, [cost]),
    ]


def _changes(took: Mapping[tuple[str, str], list[float]]) -> list[Row]:
    rows = []
    for case in (_FEW, *_MANY):
        rows.append(Row("PO", f"first commit, of {case}", took["first commit", case]))
        for what in _CHANGES:
            values = took[what, case]
            bar = Comparison("", "ms", estimate(values), _CHANGE_MS_AT_MOST)
            rows.append(Row("PO", f"{what}, of {case}", values, [bar]))
        rows.append(Row("PO", f"{_DECIDED}, of {case}", took[_DECIDED, case]))
    return rows
