"""P10, P11: the controller beside one made with controller-runtime, in turn on one API server."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchlib.apiserver import BenchApiServer
from benchlib.program import samples_of
from benchlib.rows import Comparison, Row
from benchlib.stats import estimate, exactly, factor, percentile

OURS, THEIRS, FLOOR = "ours", "controller-runtime", "the write alone"
"""The last: whoever sees a change writes its answer at once, and looks at nothing."""
LISTS = "the lists alone"
"""All that a start must read, sent by the API server at once, and nothing is done with it."""
SIZES = (1000, 2000, 4000, 8000)
"""Pods, and as many attachments and sets; a network for twenty of them; fifty nodes."""
RATES = (20, 500)
"""Changes a second."""
COLD_AT_MOST = 1 / 2
MEMORY_AT_MOST = 1 / 5
P99_AT_MOST = 1 / 2
CPU_AT_MOST = 1 / 4
IDLE_AT_MOST = 0.1
"""Percent of one processor."""
KIB_AN_OBJECT_AT_MOST = 1.0
_COLD_SECONDS = 900

Lines = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    sizes: Sequence[int] = SIZES
    rates: Sequence[int] = RATES
    rounds: int = 3
    turns: int = 2
    seconds: int = 10
    """Of each rate in each turn."""
    idle: int = 30
    """Seconds without a change: what is done once a minute or less often isn't what is asked."""


def measure(
    server: BenchApiServer, programs: Path, peer: Path | None, drive: Path, extent: Extent
) -> list[Row]:
    """Leaves on the server what the largest size has."""
    contenders = [{"name": OURS, "argv": _ours(server, programs)}]
    if peer is not None:
        contenders.append({"name": THEIRS, "argv": _theirs(server, peer)})
    given = [f"-kubeconfig={server.kubeconfig}"]
    cold = [f"-sizes={_joined(extent.sizes)}", f"-rounds={extent.rounds}"]
    steady = [f"-rates={_joined(extent.rates)}", f"-turns={extent.turns}"]
    steady += [f"-seconds={extent.seconds}s", f"-idle={extent.idle}s"]
    stdin = json.dumps(contenders)
    lines = samples_of([str(drive), "cold", *given, *cold], stdin, _COLD_SECONDS)
    each = 3 * extent.turns * (len(extent.rates) * (extent.seconds + 5) + extent.idle + 30)
    lines += samples_of([str(drive), "steady", *given, *steady], stdin, each + 120)
    return rows_of(lines)


def _joined(numbers: Sequence[int]) -> str:
    return ",".join(str(one) for one in numbers)


def _ours(server: BenchApiServer, programs: Path) -> list[str]:
    program = str(programs / "multinet-controller")
    return [program, f"--kubeconfig={server.kubeconfig}", "--health-listen=127.0.0.1:0"]


def _theirs(server: BenchApiServer, peer: Path) -> list[str]:
    return [str(peer), "controller", f"-kubeconfig={server.kubeconfig}"]


def rows_of(lines: Lines) -> list[Row]:
    rows = _cold([line for line in lines if line["part"] == "cold"])
    rows += _steady([line for line in lines if line["part"] == "steady"])
    rows += _idle([line for line in lines if line["part"] == "idle"])
    if all(line["way"] != THEIRS for line in lines):
        for group in ("P10", "P11"):
            rows.append(Row(group, THEIRS, missing="it can't be built"))
    return rows


def _by_way(lines: Lines, figure: str) -> dict[str, list[float]]:
    took: dict[str, list[float]] = defaultdict(list)
    for line in lines:
        took[line["way"]].append(line[figure])
    return took


def _pair(
    group: str,
    what: str,
    took: Mapping[str, Sequence[float]],
    bar: float | None,
    unit: str = "ms",
    floor: Mapping[str, Sequence[float]] | None = None,
) -> list[Row]:
    """Theirs, then ours beside it and beside what nobody gets below, round by round."""
    compared = []
    rows = []
    if THEIRS in took:
        rows.append(Row(group, f"{what}: {THEIRS}", took[THEIRS], unit=unit))
        compared.append(Comparison(THEIRS, "x", factor(took[OURS], took[THEIRS]), bar))
    for way, values in (floor or {}).items():
        compared.append(Comparison(way, "x", factor(took[OURS], values)))
    return [*rows, Row(group, f"{what}: {OURS}", took[OURS], compared, unit=unit)]


def _cold(measured: Lines) -> list[Row]:
    rows: list[Row] = []
    lines = [line for line in measured if line["way"] != LISTS]
    floors = [line for line in measured if line["way"] == LISTS]
    times: dict[str, dict[int, list[float]]] = defaultdict(dict)
    sizes: dict[str, dict[int, list[float]]] = defaultdict(dict)
    for size in sorted({line["size"] for line in lines}):
        of_size = [line for line in lines if line["size"] == size]
        took = _by_way(of_size, "milliseconds")
        what = f"start to first answer, {size} pods"
        floor = _by_way([line for line in floors if line["size"] == size], "milliseconds")
        rows += [Row("P10", f"{what}: {way}", values) for way, values in floor.items()]
        rows += _pair("P10", what, took, COLD_AT_MOST, floor=floor)
        resident = {way: _mib(values) for way, values in _by_way(of_size, "rssKiB").items()}
        rows += _pair("P10", f"  resident, {size} pods", resident, MEMORY_AT_MOST, "MiB")
        for way in took:
            times[way][size], sizes[way][size] = took[way], resident[way]
    if not rows:
        return rows
    for way in times:
        rows += _growth(way, times[way], sizes[way])
    highest = {way: _mib(values) for way, values in _by_way(lines, "highestKiB").items()}
    for way, values in highest.items():
        rows.append(Row("P10", f"  resident, the highest: {way}", [max(values)], unit="MiB"))
    needless = [line["writes"] - 1 for line in lines]
    none = [Comparison("", "", exactly(max(needless)), 0)]
    rows.append(
        Row("P10", "  writes of a start beyond the one that it owes", needless, none, unit="")
    )
    return rows


def _mib(kibibytes: Sequence[float]) -> list[float]:
    return [one / 1024 for one in kibibytes]


def _growth(
    way: str, times: Mapping[int, Sequence[float]], sizes: Mapping[int, Sequence[float]]
) -> list[Row]:
    """How both grow with what there is."""
    if len(times) < 2:
        return []
    rows = []
    for what, took in (("time", times), ("memory", sizes)):
        medians = {size: estimate(values).median for size, values in took.items()}
        title = f"  exponent of the {what} over {len(medians)} sizes: {way}"
        rows.append(Row("P10", title, [exponent(medians)], unit=""))
    least, most = min(sizes), max(sizes)
    grown = estimate(sizes[most]).median - estimate(sizes[least]).median
    # A pod, an attachment and a set each.
    an_object = grown * 1024 / (3 * (most - least))
    bar = [Comparison("", "KiB", exactly(an_object), KIB_AN_OBJECT_AT_MOST)] if way == OURS else []
    rows.append(Row("P10", f"  memory of one object more: {way}", [an_object], bar, unit="KiB"))
    return rows


def exponent(costs: Mapping[int, float]) -> float:
    """Slope of the line through the logarithms (least squares)."""
    x = [math.log(size) for size in costs]
    y = [math.log(max(cost, 1e-9)) for cost in costs.values()]
    middle_x, middle_y = sum(x) / len(x), sum(y) / len(y)
    up = sum((a - middle_x) * (b - middle_y) for a, b in zip(x, y, strict=True))
    return up / sum((a - middle_x) ** 2 for a in x)


def _steady(lines: Lines) -> list[Row]:
    rows: list[Row] = []
    for rate in sorted({line["rate"] for line in lines}):
        of_rate = [line for line in lines if line["rate"] == rate]
        rows += _latency(rate, of_rate)
        used = {
            way: [
                line["cpuSeconds"] / line["changes"] * 1000
                for line in of_rate
                if line["way"] == way
            ]
            for way in _by_way(of_rate, "changes")
            if way != FLOOR
        }
        rows += _pair("P11", f"  processor a change, {rate}/s", used, CPU_AT_MOST)
        late = [line for line in of_rate if line["pace"] < 0.9 * rate]
        if late:
            slowest = min(line["pace"] for line in late)
            reason = f"the API server takes {slowest:.0f} changes a second here"
            rows.append(Row("P11", f"  {rate}/s kept up", missing=reason))
    return rows


def _latency(rate: int, lines: Lines) -> list[Row]:
    took: dict[str, list[float]] = defaultdict(list)
    tails: dict[str, list[float]] = defaultdict(list)
    unanswered: dict[str, int] = defaultdict(int)
    for line in lines:
        took[line["way"]] += line["milliseconds"]
        tails[line["way"]].append(percentile(line["milliseconds"], 0.99))
        unanswered[line["way"]] += line["unanswered"]
    what = f"change to status, {rate}/s"
    rows = []
    compared = []
    for way, bar in ((FLOOR, None), (THEIRS, P99_AT_MOST)):
        if way in took:
            rows.append(Row("P11", f"{what}: {way}", took[way]))
            ratio = factor(tails[OURS], tails[way])
            compared.insert(0, Comparison(f"the P99 of {way}", "x", ratio, bar))
    rows.append(Row("P11", f"{what}: {OURS}", took[OURS], compared))
    for way, count in unanswered.items():
        if way == FLOOR:
            continue
        bar = [Comparison("", "", exactly(count), 0)] if way == OURS else []
        rows.append(Row("P11", f"  not told within 2 s, {rate}/s: {way}", [count], bar, unit=""))
    return rows


def _idle(lines: Lines) -> list[Row]:
    rows = []
    for way, values in _by_way(lines, "cpuSeconds").items():
        seconds = _by_way(lines, "seconds")[way]
        shares = [100 * used / long for used, long in zip(values, seconds, strict=True)]
        bar = [Comparison("", "%", exactly(max(shares)), IDLE_AT_MOST)] if way == OURS else []
        rows.append(Row("P11", f"  idle, of one processor: {way}", shares, bar, unit="%"))
        writes = _by_way(lines, "writes")[way]
        none = [Comparison("", "", exactly(max(writes)), 0)] if way == OURS else []
        rows.append(Row("P11", f"  idle, writes: {way}", writes, none, unit=""))
    return rows
