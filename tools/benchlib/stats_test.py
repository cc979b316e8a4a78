"""Medians, intervals, percentiles."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchlib.stats import Estimate, added, estimate, factor, percentile  # noqa: E402


def test_percentile_takes_a_value_that_was_measured() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert percentile(values, 0.5) == 50
    assert percentile(values, 0.99) == 99
    assert percentile([7.0], 0.99) == 7


def test_few_values_give_the_widest_interval() -> None:
    assert estimate([3.0, 1.0, 2.0]) == Estimate(2, 1, 3)


def test_interval_is_the_sign_tests() -> None:
    # Of 100 values the 40th and the 61st, as in every table of the sign test.
    assert estimate([float(value) for value in range(1, 101)]) == Estimate(50.5, 40, 61)


def test_interval_holds_the_true_median_as_often_as_it_says() -> None:
    source = random.Random(1)
    hits = 0
    for _ in range(1000):
        found = estimate([source.expovariate(1.0) for _ in range(51)])
        hits += found.low <= 0.6931 <= found.high
    assert hits >= 950


def test_pairs_are_taken_round_by_round() -> None:
    other = [100.0, 200.0, 400.0]
    assert added([101.0, 201.0, 401.0], other) == Estimate(1, 1, 1)
    assert factor([50.0, 100.0, 200.0], other) == Estimate(0.5, 0.5, 0.5)
    with pytest.raises(ValueError, match="zip"):
        added([1.0], other)
