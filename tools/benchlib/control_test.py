"""The rows of P10, P11 and P13, of what the measuring program prints."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchlib import admission, control  # noqa: E402
from benchlib.control import FLOOR, LISTS, OURS, THEIRS  # noqa: E402
from benchlib.rows import Row  # noqa: E402


def by_name(rows: Sequence[Row]) -> dict[str, Row]:
    return {row.what.strip(): row for row in rows}


def verdicts(row: Row) -> list[str]:
    return [one.verdict() for one in row.comparisons]


def cold(way: str, size: int, took: float, kib: int, writes: int = 1) -> list[dict[str, Any]]:
    line = {"part": "cold", "way": way, "size": size, "milliseconds": took, "writes": writes}
    return [{**line, "round": i, "rssKiB": kib, "highestKiB": kib + 1024} for i in range(6)]


def steady(way: str, rate: int, took: float, pace: float = 0) -> list[dict[str, Any]]:
    line = {"part": "steady", "way": way, "rate": rate, "pace": pace or rate, "unanswered": 0}
    figures = {"milliseconds": [took] * 100, "changes": 200, "cpuSeconds": took / 100}
    return [{**line, "turn": i, **figures} for i in range(6)]


def idle(way: str, used: float, writes: int) -> dict[str, Any]:
    line = {"part": "idle", "way": way, "turn": 0, "seconds": 10.0}
    return {**line, "cpuSeconds": used, "writes": writes}


def test_a_start_is_compared_at_each_size_and_its_growth_fitted() -> None:
    lines = []
    for size in (1000, 4000):
        lines += cold(OURS, size, size / 10, 20 * 1024 + 3 * size)
        lines += cold(THEIRS, size, size / 3, 40 * 1024 + 48 * size)
        floor = {"part": "cold", "way": LISTS, "size": size, "milliseconds": size / 20}
        lines += [{**floor, "round": i} for i in range(6)]
    rows = by_name(control.rows_of(lines))
    start = rows["start to first answer, 1000 pods: ours"]
    assert verdicts(start) == ["met", ""]
    assert (start.comparisons[1].to, start.comparisons[1].estimate.median) == (LISTS, 2)
    assert verdicts(rows["resident, 1000 pods: ours"]) == ["missed"]
    assert verdicts(rows["resident, 4000 pods: ours"]) == ["met"]
    assert rows["exponent of the time over 2 sizes: ours"].values[0] == pytest.approx(1)
    grown = rows["memory of one object more: ours"]
    assert (grown.values[0], verdicts(grown)) == (pytest.approx(1), ["met"])
    assert rows["memory of one object more: controller-runtime"].values[0] == pytest.approx(16)
    assert verdicts(rows["writes of a start beyond the one that it owes"]) == ["met"]
    lines[0]["writes"] = 2
    needless = by_name(control.rows_of(lines))["writes of a start beyond the one that it owes"]
    assert verdicts(needless) == ["missed"]


def test_changes_are_compared_with_the_peer_and_with_the_write_alone() -> None:
    lines = steady(FLOOR, 20, 4) + steady(THEIRS, 20, 10) + steady(OURS, 20, 4.5)
    lines += steady(OURS, 500, 4.5, pace=300) + steady(THEIRS, 500, 10)
    lines += [idle(OURS, 0.02, 0), idle(THEIRS, 0.05, 1)]
    rows = by_name(control.rows_of(lines))
    assert verdicts(rows["change to status, 20/s: ours"]) == ["met", ""]
    assert rows["change to status, 20/s: ours"].comparisons[1].to == "the P99 of the write alone"
    assert verdicts(rows["processor a change, 20/s: ours"]) == ["missed"]
    assert "processor a change, 20/s: the write alone" not in rows
    assert "300 changes a second" in rows["500/s kept up"].missing
    assert "20/s kept up" not in rows
    assert verdicts(rows["idle, of one processor: ours"]) == ["missed"]
    assert verdicts(rows["idle, writes: ours"]) == ["met"]
    assert verdicts(rows["idle, writes: controller-runtime"]) == []


def test_a_peer_that_is_missing_is_a_row() -> None:
    rows = by_name(control.rows_of(cold(OURS, 10, 1, 1) + steady(OURS, 20, 1)))
    assert rows[THEIRS].missing


def reviews(way: str, took: float, kib: int) -> list[dict[str, Any]]:
    line = {"part": "reviews", "way": way, "size": 4096, "networks": 16, "seconds": 0.5}
    load = {"milliseconds": [took] * 100, "reviews": 1000, "cpuSeconds": took}
    memory = {"part": "reviews' memory", "way": way, "highestKiB": kib}
    return [*({**line, "round": i, **load} for i in range(6)), memory]


def test_reviews_are_compared_by_time_processor_and_memory() -> None:
    lines = reviews(OURS, 1.5, 20 * 1024) + reviews(THEIRS, 3.1, 100 * 1024)
    rows = by_name(admission.rows_of(lines))
    assert verdicts(rows["a review, 4 KiB, 16 networks: ours"]) == ["met", "met"]
    processor = rows["processor a review, 4 KiB, 16 networks: ours"]
    assert (processor.values[0], verdicts(processor)) == (1.5, ["missed"])
    assert rows["reviews a second, 4 KiB, 16 networks: ours"].values[0] == 2000
    assert verdicts(rows["resident, the highest: ours"]) == ["met"]
    assert by_name(admission.rows_of(reviews(OURS, 3, 1)))[THEIRS].missing
