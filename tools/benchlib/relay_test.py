"""The rows of P5."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchlib.relay import rows_of  # noqa: E402

WAYS = {"direct": 0.2, "pump": 0.25, "proxy": 0.5, "agent": 0.3}


def test_rows_hold_latency_processors_and_memory_with_their_bars() -> None:
    lines = []
    for number in range(20):
        for way, took in WAYS.items():
            lines.append({"call": "Version", "way": way, "round": number, "milliseconds": took})
            lines.append(
                {"call": "Version", "way": way, "round": number, "calls": 10, "cpu": took / 1000}
            )
    sizes = {"rssKiB": 20480, "anonymousKiB": 4096}
    for way, highest in (("pump", 1), ("proxy", 102400), ("agent", 20480)):
        lines.append({"way": way, "when": "afterwards", **sizes, "highestKiB": highest})
    rows = {row.what.strip(): row for row in rows_of(lines)}
    latency = rows["Version: agent"].comparisons[0]
    assert (round(latency.estimate.median, 3), latency.verdict()) == (0.1, "met")
    processors = rows["processor a call, Version: agent"].comparisons[0]
    assert (round(processors.estimate.median, 3), processors.verdict()) == (0.6, "missed")
    memory = rows["resident, the highest under load: agent"]
    assert (memory.unit, memory.comparisons[0].verdict()) == ("MiB", "met")
    assert rows["resident, afterwards: agent"].comparisons[0].verdict() == ""
