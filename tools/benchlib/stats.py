"""Medians with intervals, of samples that came in rounds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A median and the interval in which the true one lies, with a confidence of 95 %."""

    median: float
    low: float
    high: float


def exactly(value: float) -> Estimate:
    """Of one figure, which is counted or taken once."""
    return Estimate(value, value, value)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that is at least as large as that share of all."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def estimate(values: Sequence[float]) -> Estimate:
    """The interval is that of the sign test: it asks nothing of the distribution."""
    ordered = sorted(values)
    count = len(ordered)
    # How many values at each end may be left out: P(fewer than that lie on one side) <= 2.5 %.
    left_out, below = 0, 1 / 2**count
    while below <= (1 - CONFIDENCE) / 2 and left_out < count // 2:
        left_out += 1
        below += math.comb(count, left_out) / 2**count
    edge = max(0, left_out - 1)
    return Estimate(statistics.median(ordered), ordered[edge], ordered[count - 1 - edge])


def added(ours: Sequence[float], other: Sequence[float]) -> Estimate:
    """What ours takes more, round by round."""
    return estimate([a - b for a, b in zip(ours, other, strict=True)])


def factor(ours: Sequence[float], other: Sequence[float]) -> Estimate:
    """How many times as long ours takes, round by round."""
    return estimate([a / b for a, b in zip(ours, other, strict=True)])
