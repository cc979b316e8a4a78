"""A stacked bar for each call: of what the agent's part consists."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

_LEFT, _WIDTH, _LINE, _LEGEND = 400, 460, 30, 20
_COLOURS = (
    "#4477aa",
    "#66ccee",
    "#228833",
    "#ccbb44",
    "#ee6677",
    "#aa3377",
    "#bbbbbb",
    "#997700",
    "#222255",
    "#dddddd",
)

Steps = Mapping[str, Mapping[str, float]]
"""Milliseconds by call and by step."""


def _names(steps: Steps) -> list[str]:
    return list(dict.fromkeys(name for one in steps.values() for name in one))


def height(steps: Steps) -> int:
    """Of the whole panel."""
    return _LINE * len(steps) + _LEGEND * len(_names(steps)) + 60


def panel(steps: Steps, top: int) -> str:
    """Below each other: the bars, on one linear scale, and what the colours mean."""
    names = _names(steps)
    colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}
    longest = max(sum(one.values()) for one in steps.values()) or 1.0
    parts = [f'<text x="{_LEFT}" y="{top + 4}">the agent\'s part, by step: medians in ms</text>']
    for number, (what, one) in enumerate(steps.items()):
        y = top + 16 + _LINE * number
        parts.append(f'<text x="{_LEFT - 10}" y="{y + 15}" text-anchor="end">{escape(what)}</text>')
        x = float(_LEFT)
        for name, time in one.items():
            width = _WIDTH * time / longest
            parts.append(
                f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="20" '
                f'fill="{colours[name]}"><title>{escape(name)} {time:.3f} ms</title></rect>'
            )
            x += width
        parts.append(f'<text x="{x + 6:.1f}" y="{y + 15}">{sum(one.values()):.2f} ms</text>')
    below = top + 26 + _LINE * len(steps)
    for number, name in enumerate(names):
        y = below + _LEGEND * number
        figures = ", ".join(f"{one.get(name, 0.0):.2f}" for one in steps.values())
        parts.append(
            f'<rect x="{_LEFT}" y="{y}" width="12" height="12" fill="{colours[name]}"/>'
            f'<text x="{_LEFT + 20}" y="{y + 11}">{escape(name)}: {figures}</text>'
        )
    return "\n".join(parts)
