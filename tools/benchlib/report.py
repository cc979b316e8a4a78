"""The results as a table for people and as JSON."""

from __future__ import annotations

import json
import statistics

from benchlib.machine import QUIET
from benchlib.rows import Comparison, Results, Row
from benchlib.stats import percentile

_WHAT = 58
_HEAD = f"{'':4}{'':{_WHAT}}{'N':>5}{'P50':>10}{'P99':>10}      COMPARED, ROUND BY ROUND"


def is_quiet(results: Results) -> bool:
    """Whether nobody else used the machine before, between and after the measurements."""
    return all(share <= QUIET for share in results.busy.values())


def table(results: Results) -> str:
    """All rows; a comparison each line."""
    machine = results.machine
    lines = [
        f"{results.date}: {machine['cores']} cores ({machine['processor']}), "
        f"{machine['memoryGiB']} GiB, Linux {machine['kernel']}",
        warning(results),
        "",
        _HEAD,
    ]
    for row in results.rows:
        lines += _lines(row)
    lines += ["", f"{'':4}{'MEMORY in MiB':{_WHAT}}{'RSS':>10}{'PSS':>10}{'PEAK':>10}"]
    for one in results.memory:
        sizes = "".join(f"{kib / 1024:10.1f}" for kib in (one.rss, one.pss, one.peak))
        lines.append(f"{'':4}{f'{one.program}, {one.when}':{_WHAT}}{sizes}")
    if results.steps:
        lines += ["", f"{'':4}THE AGENT'S PART BY STEP, medians in ms"]
    for what, steps in results.steps.items():
        told = ", ".join(f"{step} {took:.2f}" for step, took in steps.items())
        lines.append(f"{'':4}{what}: {told}")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def warning(results: Results) -> str:
    """What the reader must know of the machine before he believes a figure."""
    shares = ", ".join(f"{when} {share:.0%}" for when, share in results.busy.items())
    if is_quiet(results):
        return f"The machine was quiet (processors in use: {shares})."
    return (
        f"!!! THE MACHINE WAS BUSY, THESE FIGURES AREN'T VALID: processors in use: {shares}; "
        f"at most {QUIET:.0%} may be. Run it again when nothing else runs."
    )


def _lines(row: Row) -> list[str]:
    start = f"{row.group:4}{row.what:{_WHAT}}"
    if row.missing:
        return [f"{start}  !!! NOT MEASURED: {row.missing}"]
    p99 = percentile(row.values, 0.99)
    start += f"{len(row.values):5}{statistics.median(row.values):10.3f}{p99:10.3f} {row.unit:3}"
    compared = [_compared(one) for one in row.comparisons] or [""]
    return [f"{start}  {compared[0]}"] + [f"{'':{len(start)}}  {text}" for text in compared[1:]]


def _compared(one: Comparison) -> str:
    low, middle, high = one.estimate.low, one.estimate.median, one.estimate.high
    if one.at_most is not None and not one.to:
        return f"at most {one.at_most:g} {one.unit}".rstrip() + f": {one.verdict()}"
    if one.unit == "ms":
        text = f"{middle:+.3f} ms [{low:+.3f}, {high:+.3f}] to {one.to}"
    else:
        text = f"{middle:.3f} x [{low:.3f}, {high:.3f}] of {one.to}"
    if one.at_most is None:
        return text
    return f"{text}; at most {one.at_most:g} {one.unit}: {one.verdict()}"


def as_json(results: Results) -> str:
    """Everything, each sample as well."""
    return (
        json.dumps(
            {
                "date": results.date,
                "machine": results.machine,
                "quiet": is_quiet(results),
                "processorsInUse": {k: round(v, 3) for k, v in results.busy.items()},
                "rows": [row.as_json() for row in results.rows],
                "stepsMilliseconds": results.steps,
                "memoryKiB": [vars(one) for one in results.memory],
            },
            indent=1,
        )
        + "\n"
    )
