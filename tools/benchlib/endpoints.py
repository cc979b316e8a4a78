"""S1, S2: what the controller decides of a service's endpoints, beside Kubernetes' own reconciler."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchlib.program import samples_of
from benchlib.rows import Comparison, Row
from benchlib.stats import Estimate, estimate, exactly
from clusterlib.errors import ClusterError

_ENDPOINTS, _SERVICES, _OF_EACH = 5000, 1000, 100
_OF_CORE = 1 / 20
_AT_MOST = {"none": 0.05, "one": 0.5, "hundred": 5.0}
_START_OF_CORE, _MEMORY_OF_CORE = 1 / 3, 1 / 5
_SECONDS = 240.0
Samples = Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]


def measure(programs: Path, core: Path | None, why: str) -> list[Row]:
    """Ours, then the peer: both are one thread's arithmetic, and no round of one is near the other's."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    contenders = [programs / "multinet-bench-endpoints", *([core] if core else [])]
    for program in contenders:
        for words in (["change", str(_ENDPOINTS)], ["cold", str(_SERVICES), str(_OF_EACH)]):
            for sample in samples_of([str(program), *words], "", _SECONDS):
                found[sample["what"], sample["case"]].append(sample)
    rows = rows_of(found)
    if core is None:
        rows.append(Row("S1", "Kubernetes' own reconciler", missing=why))
    return rows


def rows_of(found: Samples) -> list[Row]:
    """All of it; what of ours has no round is an error."""
    rows = []
    for what, at_most in _AT_MOST.items():
        ours, core = _times(found, what, "multinet"), _times(found, what, "core")
        compared = [Comparison("", "ms", estimate(ours), at_most)]
        if core:
            compared.append(Comparison("core's", "x", _medians(ours, core), _OF_CORE))
        text = f"{_ENDPOINTS} endpoints, {what} changed"
        rows.append(Row("S1", text, ours, compared))
        if core:
            rows.append(Row("S1", f"  core's reconciler, {what}", core))
    (start,) = _all(found, "cold", "multinet")
    peer = found.get(("cold", "core"), [])
    for field, text, unit, at_most, scale in (
        ("milliseconds", "a start", "ms", _START_OF_CORE, 1.0),
        ("kib", "what it holds then", "MiB", _MEMORY_OF_CORE, 1024.0),
    ):
        value = start[field] / scale
        compared = [
            Comparison("core's", "x", exactly(value / (one[field] / scale)), at_most)
            for one in peer
        ]
        size = f"{_SERVICES} services of {_OF_EACH}"
        rows.append(Row("S2", f"{size}: {text}", [value], compared, unit=unit))
    return rows


def _all(found: Samples, what: str, case: str) -> Sequence[Mapping[str, Any]]:
    try:
        return found[what, case]
    except KeyError:
        raise ClusterError(f"measure endpoints: nothing was measured of {what}") from None


def _times(found: Samples, what: str, case: str) -> list[float]:
    samples = _all(found, what, case) if case == "multinet" else found.get((what, case), [])
    return [float(one["milliseconds"]) for one in samples]


def _medians(ours: Sequence[float], core: Sequence[float]) -> Estimate:
    """The rounds aren't side by side: the widest that both intervals allow."""
    mine, other = estimate(ours), estimate(core)
    return Estimate(mine.median / other.median, mine.low / other.high, mine.high / other.low)
