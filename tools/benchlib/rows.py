"""What was measured, compared and judged: the lines of the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchlib.stats import Estimate, percentile


SHARES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class Comparison:
    """A difference (`ms`) or a factor (`x`) to another row of the same rounds, and its bar.

    Without another row (`to` is empty) the bar is that of the row's own figure.
    """

    to: str
    unit: str
    estimate: Estimate
    at_most: float | None = None

    def verdict(self) -> str:
        """`met` and `missed` only where the whole interval says so."""
        if self.at_most is None:
            return ""
        if self.estimate.high <= self.at_most:
            return "met"
        return "missed" if self.estimate.low > self.at_most else "undecided"


@dataclass(frozen=True)
class Row:
    """One thing that was measured. `missing` says why it couldn't be."""

    group: str
    what: str
    values: Sequence[float] = ()
    comparisons: Sequence[Comparison] = ()
    missing: str = ""
    unit: str = "ms"
    """Of the values."""

    def as_json(self) -> dict[str, object]:
        shown: dict[str, object] = {"group": self.group, "what": self.what}
        if self.missing:
            return {**shown, "missing": self.missing}
        shown |= {
            "count": len(self.values),
            "unit": self.unit,
            "values": {
                f"p{share:.0%}".rstrip("%"): round(percentile(self.values, share), 4)
                for share in SHARES
            },
            "comparisons": [
                {
                    "to": one.to,
                    "unit": one.unit,
                    "median": round(one.estimate.median, 4),
                    "interval": [round(one.estimate.low, 4), round(one.estimate.high, 4)],
                    **({} if one.at_most is None else {"atMost": one.at_most}),
                    **({} if one.at_most is None else {"verdict": one.verdict()}),
                }
                for one in self.comparisons
            ],
        }
        return shown


@dataclass(frozen=True)
class Memory:
    """What one program holds, in KiB: resident, its share of what is shared, and the most ever."""

    program: str
    when: str
    rss: int
    pss: int
    peak: int


@dataclass
class Results:
    """All of one run."""

    date: str
    machine: dict[str, object]
    busy: dict[str, float] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    steps: dict[str, dict[str, float]] = field(default_factory=dict)
    """Of the agent's part of a call: milliseconds by case and by step."""
