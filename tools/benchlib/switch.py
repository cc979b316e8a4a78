"""SW: from pod to pod through the switch, beside bridges in the node's own namespace."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchlib.program import samples_of
from benchlib.rows import Comparison, Row
from benchlib.stats import factor
from clusterlib.errors import ClusterError

AT_MOST = 1.02
"""The switch takes at most so many times as long: a hundredth is what the intervals are wide."""
_MEBIBYTES, _ROUND_TRIPS = 32, 500
_WHAT = {"send": f"{_MEBIBYTES} MiB", "round trips": f"{_ROUND_TRIPS} trips"}
# The case, what it is compared with, and how both are called.
_CASES = (
    ("node", "", "node"),
    ("switch", "node", "switch"),
    ("secured", "switch", "port security"),
    ("node, bridge-nf", "", "node, nf"),
    ("switch, bridge-nf", "node, bridge-nf", "switch, nf"),
)
# What is compared with the switch, and at most so many times as long.
_OTHERS = {"secured": ("the switch", 1.08)}
_PATHS = 4


def measure(programs: Path, rounds: int, seconds: int) -> list[Row]:
    """All paths; each round takes each case once."""
    command = ["unshare", "--net", "--mount", "--", str(programs / "multinet-bench-switch")]
    command += [f"--rounds={rounds}", f"--seconds={seconds}"]
    command += [f"--mebibytes={_MEBIBYTES}", f"--round-trips={_ROUND_TRIPS}"]
    rows = rows_of(samples_of(command, "", seconds * 4 + 120))
    if len(rows) != _PATHS * len(_WHAT) * len(_CASES):
        raise ClusterError("measure the switch: a path has no round")
    return rows


def rows_of(samples: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Rows by path and what was sent. A firewall that the kernel can't have is a row that says so."""
    took: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for sample in samples:
        took[sample["path"], sample["what"]][sample["case"]].append(sample["milliseconds"])
    rows = []
    for (path, what), cases in took.items():
        for case, other, called in _CASES:
            text = f"{path}, {_WHAT[what]}: {called}"
            if case not in cases:
                rows.append(Row("SW", text, missing="the kernel has no bridge-nf-call-iptables"))
                continue
            compared = []
            if other:
                ratio = factor(cases[case], cases[other])
                name, most = _OTHERS.get(case, ("the node's namespace", AT_MOST))
                compared.append(Comparison(name, "x", ratio, most))
            rows.append(Row("SW", text, cases[case], compared))
    return rows
