"""P5: what a relay adds to a call and what it costs, the agent's beside grpc-go's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchlib.program import samples_of
from benchlib.rows import Comparison, Row
from benchlib.stats import Estimate, added, factor

GROUP = "P5"
# As multinet-bench-relay calls them, and how the table does.
WAYS = {
    "direct": "direct",
    "pump": "bytes copied, no relay",
    "proxy": "grpc-go proxy",
    "agent": "agent",
}
ADDS_AT_MOST = 0.2
CPU_AT_MOST = 0.5
MEMORY_AT_MOST = 0.5
_SLACK_SECONDS = 120

Samples = dict[str, dict[str, list[float]]]
"""By call, then by way."""


def measure(programs: Path, proxy: Path | None, rounds: int, seconds: int) -> list[Row]:
    """Calls one at a time, then many at once; `seconds` bounds each of eight parts."""
    if proxy is None:
        return [Row(GROUP, "Version: grpc-go proxy", missing="it can't be built")]
    command = [str(programs / "multinet-bench-relay"), "measure"]
    command += [str(programs / "multinet-nodeagent"), f"--proxy={proxy}"]
    command += [f"--rounds={rounds}", f"--loads={rounds // 6}", f"--seconds={seconds}"]
    return rows_of(samples_of(command, "", 8 * seconds + _SLACK_SECONDS))


def rows_of(lines: Sequence[dict[str, Any]]) -> list[Row]:
    took: Samples = defaultdict(lambda: defaultdict(list))
    used: Samples = defaultdict(lambda: defaultdict(list))
    memory: dict[str, dict[str, float]] = {}
    for line in lines:
        if "milliseconds" in line:
            took[line["call"]][line["way"]].append(line["milliseconds"])
        elif "cpu" in line:
            used[line["call"]][line["way"]].append(line["cpu"] / line["calls"] * 1000)
        elif line["when"] == "afterwards":
            memory[line["way"]] = {key: line[key] / 1024 for key in line if key.endswith("KiB")}
    rows: list[Row] = []
    for call, ways in took.items():
        rows += _latency(call, ways)
    for call, ways in used.items():
        rows += _processors(call, ways)
    return rows + _memory(memory)


def _latency(call: str, ways: dict[str, list[float]]) -> list[Row]:
    rows = []
    for way, shown in WAYS.items():
        compared = []
        if way == "agent":
            to_direct = added(ways[way], ways["direct"])
            compared.append(Comparison("direct", "ms", to_direct, ADDS_AT_MOST))
            compared.append(Comparison(WAYS["pump"], "ms", added(ways[way], ways["pump"])))
        elif way != "direct":
            compared.append(Comparison("direct", "ms", added(ways[way], ways["direct"])))
        rows.append(Row(GROUP, f"{call}: {shown}", ways[way], compared))
    return rows


def _processors(call: str, ways: dict[str, list[float]]) -> list[Row]:
    rows = []
    for way in ("pump", "proxy", "agent"):
        compared = []
        if way == "agent":
            to_proxy = factor(ways[way], ways["proxy"])
            compared.append(Comparison(WAYS["proxy"], "x", to_proxy, CPU_AT_MOST))
        what = f"  processor a call, {call}: {WAYS[way]}"
        rows.append(Row(GROUP, what, ways[way], compared))
    return rows


def _memory(memory: dict[str, dict[str, float]]) -> list[Row]:
    """Of one run each: a figure without an interval."""
    rows = []
    for field, shown, judged in (
        ("highestKiB", "the highest under load", True),
        ("rssKiB", "afterwards", False),
        ("anonymousKiB", "afterwards, without files", False),
    ):
        for way in ("proxy", "agent"):
            compared = []
            if way == "agent":
                ratio = memory[way][field] / memory["proxy"][field]
                bar = MEMORY_AT_MOST if judged else None
                estimate = Estimate(ratio, ratio, ratio)
                compared.append(Comparison(WAYS["proxy"], "x", estimate, bar))
            what = f"  resident, {shown}: {WAYS[way]}"
            rows.append(Row(GROUP, what, [memory[way][field]], compared, unit="MiB"))
    return rows
