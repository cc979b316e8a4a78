"""The results as an SVG: a box for each row, from the 25th to the 75th percentile."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from html import escape

from benchlib import stacks
from benchlib.report import is_quiet
from benchlib.rows import Results, Row
from benchlib.stats import percentile

_LEFT, _WIDTH, _RIGHT, _LINE = 400, 460, 90, 24
_LEAST = 0.02
"""Milliseconds at which the scale ends; a difference may be nothing at all, or less."""
_COLOURS = {
    "P1": "#4477aa",
    "P2": "#228833",
    "P3": "#66ccee",
    "P4": "#aa3377",
    "P5": "#ee6677",
    "P6": "#ccbb44",
    "P7": "#bbbbbb",
    "P8": "#117733",
    "P10": "#332288",
    "P11": "#882255",
    "P13": "#44aa99",
    "SW": "#997700",
    "PO": "#994455",
}
_TOGETHER = (
    ("P1", "P2", "P3"),
    ("SW",),
    ("PO",),
    ("P4",),
    ("P5",),
    ("P6", "P7"),
    ("P8",),
    ("P10",),
    ("P11",),
    ("P13",),
)


def svg(results: Results) -> str:
    """Panels below each other: each group has a logarithmic scale of its own."""
    parts: list[str] = []
    top = 46
    for rows in _panels(results.rows):
        parts.append(_panel(rows, top))
        top += _LINE * len(rows) + 46
    if results.steps:
        parts.append(stacks.panel(results.steps, top))
        top += stacks.height(results.steps)
    quiet = "" if is_quiet(results) else " (THE MACHINE WAS BUSY: NOT VALID)"
    title = f"{results.date}, {results.machine['cores']} cores, {results.machine['kernel']}{quiet}"
    width = _LEFT + _WIDTH + _RIGHT
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" '
            f'font-family="sans-serif" font-size="12">',
            f'<rect width="{width}" height="{top}" fill="#ffffff"/>',
            f'<text x="12" y="22" font-size="14">{escape(title)}</text>',
            *parts,
            "</svg>\n",
        ]
    )


def _panels(rows: Sequence[Row]) -> list[list[Row]]:
    """What belongs together, each with a scale of its own; first whole calls, then parts of them.

    Plain counts have no unit, and no place on a logarithmic scale.
    """
    measured = [row for row in rows if not row.missing and len(row.values) > 1]
    panels = []
    for groups in _TOGETHER:
        ours = [row for row in measured if row.group in groups]
        for is_part in (False, True):
            rows = [row for row in ours if row.what.startswith(" ") == is_part]
            for unit in dict.fromkeys(row.unit for row in rows if row.unit):  # in their order
                panels.append([row for row in rows if row.unit == unit])
    return [panel for panel in panels if panel]


def _panel(rows: Sequence[Row], top: int) -> str:
    lowest = max(_LEAST, min(percentile(row.values, 0.05) for row in rows) * 0.9)
    highest = max(percentile(row.values, 0.95) for row in rows) * 1.1

    def across(value: float) -> float:
        bounded = min(max(value, lowest), highest)
        return _LEFT + _WIDTH * math.log(bounded / lowest) / math.log(highest / lowest)

    parts = []
    bottom = top + _LINE * len(rows)
    for tick in _ticks(lowest, highest):
        x = across(tick)
        parts.append(f'<path d="M{x:.1f} {top}V{bottom}" stroke="#dddddd"/>')
        parts.append(
            f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle" fill="#555555">'
            f"{tick:g} {rows[0].unit}</text>"
        )
    for number, row in enumerate(rows):
        parts.append(_box(row, top + _LINE * number + _LINE // 2, across))
    return "\n".join(parts)


def _box(row: Row, y: int, across: Callable[[float], float]) -> str:
    values = row.values
    low, first, third, high = (across(percentile(values, p)) for p in (0.05, 0.25, 0.75, 0.95))
    median = statistics.median(values)
    colour = _COLOURS[row.group]
    return (
        f'<text x="{_LEFT - 10}" y="{y + 4}" text-anchor="end">{escape(row.what.strip())}</text>'
        f'<path d="M{low:.1f} {y}H{high:.1f}" stroke="{colour}"/>'
        f'<rect x="{first:.1f}" y="{y - 6}" width="{max(1.0, third - first):.1f}" height="12" '
        f'fill="{colour}" fill-opacity="0.35" stroke="{colour}"/>'
        f'<path d="M{across(median):.1f} {y - 7}v14" stroke="#000000" stroke-width="2"/>'
        f'<text x="{high + 6:.1f}" y="{y + 4}">{median:.3g} {row.unit}</text>'
    )


def _ticks(lowest: float, highest: float) -> list[float]:
    """Round values, at most a handful."""
    steps = (1.0, 2.0, 5.0) if highest / lowest < 200 else (1.0,)
    if highest / lowest < 4:
        step = 10 ** math.floor(math.log10(highest - lowest))
        first = math.ceil(lowest / step)
        return [number * step for number in range(first, math.floor(highest / step) + 1)]
    decades = range(math.floor(math.log10(lowest)), math.ceil(math.log10(highest)) + 1)
    found = [step * 10.0**decade for decade in decades for step in steps]
    return [tick for tick in found if lowest <= tick <= highest]
