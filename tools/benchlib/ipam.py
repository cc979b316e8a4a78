"""P8: an address taken and given back, beside the API server's own allocator."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchlib.program import samples_of
from benchlib.rows import Comparison, Row
from benchlib.stats import estimate, factor

GROUP = "P8"
AT_MOST = 2000.0
"""Nanoseconds of a pair: a million operations a second."""
OF_GO_AT_MOST = 0.5
_SECONDS = 300
# The API server's takes and gives a Service's address; it knows no smaller ones than these.
_OPERATIONS = {"ours": 100_000, "bitmap": 2_000}

Samples = Mapping[tuple[int, int], Sequence[float]]
"""By length of the prefix and how full it is, in percent."""


def measure(programs: Path, bitmap: Path | None, rounds: int) -> list[Row]:
    ours = _samples(programs / "multinet-bench-ipam", "--", "ours", rounds)
    others = _samples(bitmap, "-", "bitmap", rounds) if bitmap else {}
    return rows_of(ours, others)


def _samples(program: Path, dashes: str, whose: str, rounds: int) -> Samples:
    options = [f"{dashes}operations={_OPERATIONS[whose]}", f"{dashes}rounds={rounds}"]
    took: dict[tuple[int, int], list[float]] = defaultdict(list)
    for line in samples_of([str(program), *options], "", _SECONDS):
        took[_case(line)].append(line["nanoseconds"])
    return took


def _case(line: Mapping[str, Any]) -> tuple[int, int]:
    return line["bits"], line["full"]


def rows_of(ours: Samples, others: Samples) -> list[Row]:
    rows = []
    for (bits, full), took in ours.items():
        what = f"a pair, /{bits}, {full} % full"
        compared = [Comparison("a million operations/s", "ns", estimate(took), AT_MOST)]
        if (bits, full) in others:
            go = others[bits, full]
            rows.append(Row(GROUP, f"{what}: API server's bitmap", go, unit="ns"))
            compared.append(Comparison("bitmap", "x", factor(took, go), OF_GO_AT_MOST))
        rows.append(Row(GROUP, f"{what}: ours", took, compared, unit="ns"))
    if not others:
        rows.append(Row(GROUP, "API server's bitmap", missing="it can't be built"))
    return rows
