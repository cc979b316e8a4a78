"""PO: what policies on networks cost a node, beside port security alone and beside few peers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchlib.program import samples_of
from benchlib.rows import Comparison, Row
from benchlib.stats import estimate, exactly, factor, percentile
from clusterlib.errors import ClusterError

_ROUND_TRIPS = 2000
_TRACKED_AT_MOST, _GROWTH_AT_MOST = 1.20, 1.02
_NONE, _FEW = "port security", "100 peers"
_TRACKING = "tracking alone"  # by the kernel, beside port security
_NO_SHARES = "100 peers, no shares"  # of the table of flows
_CONNECTIONS = 500
_SHARES_AT_MOST = 1.05
_MANY = ("10000 peers", "100000 peers")
_CHANGES = ("peer more", "peer less")
_NFT = "peer more, by nft"
_CHANGE_MS_AT_MOST = 0.25
_LOADED = "10000 peers"
_ATTACH, _BESIDE = "attach", "attach beside 200000 elements"
_ATTACH_MS_AT_MOST, _ATTACH_P99_MS_AT_MOST, _BESIDE_P99_MS_AT_MOST = 0.3, 1.0, 5.0
_IN_POD = "first rules in a pod"
_IN_POD_MS_AT_MOST = {"10 peers": 2.0, "1000 peers": 2.0}
_RESTART_MS_AT_MOST = 1500.0
_KERNEL_SHARE_AT_MOST, _AGENT_MIB_AT_MOST = 1 / 20, 12.0


def measure(programs: Path, rounds: int, seconds: int) -> list[Row]:
    """Each round takes each case once."""
    command = ["unshare", "--net", "--mount", "--", str(programs / "multinet-bench-policy")]
    command += [f"--rounds={rounds}", f"--seconds={seconds}", f"--round-trips={_ROUND_TRIPS}"]
    return rows_of(samples_of(command, "", seconds * 4 + 400))


def rows_of(samples: Sequence[Mapping[str, Any]]) -> list[Row]:
    """All of it; what has no round is an error."""
    took: dict[tuple[str, str], list[float]] = defaultdict(list)
    for sample in samples:
        took[sample["what"], sample["case"]].append(sample["milliseconds"])
    try:
        taken = dict(took)
        return [*_trips(taken), *_connections(taken), *_changes(taken), *_node(taken)]
    except KeyError as error:
        raise ClusterError(f"measure policies: nothing was measured of {error}") from None


def _trips(took: Mapping[tuple[str, str], list[float]]) -> list[Row]:
    text = f"{_ROUND_TRIPS} trips"
    none, alone, few = (took["round trips", case] for case in (_NONE, _TRACKING, _FEW))
    rows = _tracked(text, none, alone, few)
    for case in _MANY:
        many = took["round trips", case]
        growth = Comparison(_FEW, "x", factor(many, few), _GROWTH_AT_MOST)
        rows.append(Row("PO", f"{text}: {case}", many, [growth]))
    return rows


def _connections(took: Mapping[tuple[str, str], list[float]]) -> list[Row]:
    text = f"{_CONNECTIONS} connections"
    cases = (_NONE, _TRACKING, _NO_SHARES, _FEW)
    none, alone, free, few = (took["connections", case] for case in cases)
    cost = Comparison(_NO_SHARES, "x", factor(few, free), _SHARES_AT_MOST)
    return [Row("PO", f"{text}: {_NO_SHARES}", free), *_tracked(text, none, alone, few, cost)]


def _tracked(
    text: str,
    none: Sequence[float],
    alone: Sequence[float],
    few: Sequence[float],
    *more: Comparison,
) -> list[Row]:
    """Policies keep state, of which the kernel's part is told apart."""
    bar = Comparison(_NONE, "x", factor(few, none), _TRACKED_AT_MOST)
    bars = [bar, Comparison(_TRACKING, "x", factor(few, alone)), *more]
    return [
        Row("PO", f"{text}: {_NONE}", none),
        Row("PO", f"{text}: {_TRACKING}", alone, [Comparison(_NONE, "x", factor(alone, none))]),
        Row("PO", f"{text}: {_FEW}", few, bars),
    ]


def _changes(took: Mapping[tuple[str, str], list[float]]) -> list[Row]:
    """The whole way, from the event of a slice to the end of the transaction."""
    rows = []
    for case in (_FEW, *_MANY):
        rows.append(Row("PO", f"first commit, of {case}", took["first commit", case]))
        for what in _CHANGES:
            values = took[what, case]
            bars = [Comparison("", "ms", estimate(values), _CHANGE_MS_AT_MOST)]
            if case != _FEW:
                few = median(took[what, _FEW])
                bars.append(Comparison(_FEW, "x", estimate([one / few for one in values])))
            rows.append(Row("PO", f"{what}, of {case}", values, bars))
        rows.append(Row("PO", f"{_NFT}, of {case}", took[_NFT, case]))
        rows.append(_attach(_ATTACH, took[_ATTACH, case], case, _ATTACH_P99_MS_AT_MOST))
    return rows


def _attach(what: str, values: Sequence[float], case: str, at_most: float) -> Row:
    """What policies add to a pod's start."""
    bars = [Comparison("", "p99 ms", exactly(percentile(values, 0.99)), at_most)]
    if what == _ATTACH:
        bars.insert(0, Comparison("", "ms", estimate(values), _ATTACH_MS_AT_MOST))
    return Row("PO", f"{what}, of {case}", values, bars)


def _node(took: Mapping[tuple[str, str], list[float]]) -> list[Row]:
    rows = [_attach(_BESIDE, took[_BESIDE, _LOADED], _LOADED, _BESIDE_P99_MS_AT_MOST)]
    for case, at_most in _IN_POD_MS_AT_MOST.items():
        values = took[_IN_POD, case]
        bar = Comparison("", "ms", estimate(values), at_most)
        rows.append(Row("PO", f"{_IN_POD}, of {case}", values, [bar]))
    restart = took["restart", _LOADED]
    bar = Comparison("", "ms", exactly(max(restart)), _RESTART_MS_AT_MOST)
    rows.append(Row("PO", f"restart, of {_LOADED}", restart, [bar]))
    written = took["restart, transactions", _LOADED]
    bar = Comparison("", "", exactly(max(written)), 0.0)
    rows.append(Row("PO", f"restart, of {_LOADED}: transactions", written, [bar], unit=""))
    kernel, other = (took[f"kernel's memory{of}", _LOADED] for of in ("", ", a set a pod"))
    share = Comparison("a set a pod", "x", factor(kernel, other), _KERNEL_SHARE_AT_MOST)
    rows.append(Row("PO", f"kernel's memory, of {_LOADED}", kernel, [share], unit="MiB"))
    rows.append(Row("PO", f"the same, a set a pod, of {_LOADED}", other, unit="MiB"))
    agent = took["agent's memory", _LOADED]
    bar = Comparison("", "MiB", exactly(max(agent)), _AGENT_MIB_AT_MOST)
    rows.append(Row("PO", f"agent's memory, of {_LOADED}", agent, [bar], unit="MiB"))
    for name, of in (("slices that it is told", "of slices"), ("resident in all", "resident")):
        values = took[f"agent's memory, {of}", _LOADED]
        rows.append(Row("PO", f"agent's memory, {name}, of {_LOADED}", values, unit="MiB"))
    return rows
