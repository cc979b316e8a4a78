"""P13: reviews of pods, the webhook's beside one made with controller-runtime."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchlib.apiserver import BenchApiServer, free_port
from benchlib.control import OURS, THEIRS
from benchlib.program import samples_of
from benchlib.rows import Comparison, Row
from benchlib.stats import exactly, factor, percentile

GROUP = "P13"
CPU_AT_MOST = 1 / 3
P99_AT_MOST = 1 / 2
P99_MILLISECONDS_AT_MOST = 2.0
MEMORY_AT_MOST = 1 / 4
INTERFACES = 16
"""That a pod asks for: the first that tools/benchlib/control.py has made."""
_SECONDS = 300


def measure(
    server: BenchApiServer, programs: Path, peer: Path | None, drive: Path, rounds: int
) -> list[Row]:
    """On what is on the server: its networks and attachments are in the caches."""
    contenders = [_contender(server, OURS, [str(programs / "multinet-webhook")], "--")]
    if peer is not None:
        contenders.append(_contender(server, THEIRS, [str(peer), "webhook"], "-"))
    networks = ",".join(f"net-{i}" for i in range(INTERFACES))
    command = [str(drive), "reviews", f"-ca={server.authority}", f"-rounds={rounds}"]
    command += [f"-networks={networks}"]
    return rows_of(samples_of(command, json.dumps(contenders), _SECONDS))


def _contender(server: BenchApiServer, name: str, argv: list[str], dashes: str) -> dict[str, Any]:
    listen = f"127.0.0.1:{free_port()}"
    health = "health-listen" if name == OURS else "health"
    given = {
        "kubeconfig": server.kubeconfig,
        "listen": listen,
        "cert-dir": server.certificates,
        health: "127.0.0.1:0",
    }
    options = [f"{dashes}{option}={value}" for option, value in given.items()]
    return {"name": name, "argv": [*argv, *options], "url": f"https://{listen}/mutate"}


def rows_of(lines: Sequence[Mapping[str, Any]]) -> list[Row]:
    cases: dict[tuple[int, int], list[Mapping[str, Any]]] = defaultdict(list)
    memory: dict[str, float] = {}
    for line in lines:
        if line["part"] == "reviews":
            cases[line["size"], line["networks"]].append(line)
        else:
            memory[line["way"]] = line["highestKiB"] / 1024
    rows: list[Row] = []
    for (size, networks), of_case in sorted(cases.items()):
        rows += _latency(f"{size // 1024} KiB, {networks} networks", of_case)
    for (size, networks), of_case in sorted(cases.items()):
        rows += _load(f"{size // 1024} KiB, {networks} networks", of_case)
    rows += _memory(memory)
    if THEIRS not in memory:
        rows.append(Row(GROUP, THEIRS, missing="it can't be built"))
    return rows


def _latency(what: str, lines: Sequence[Mapping[str, Any]]) -> list[Row]:
    took: dict[str, list[float]] = defaultdict(list)
    tails: dict[str, list[float]] = defaultdict(list)
    for line in lines:
        took[line["way"]] += line["milliseconds"]
        tails[line["way"]].append(percentile(line["milliseconds"], 0.99))
    tail = percentile(took[OURS], 0.99)
    compared = []
    rows = []
    if THEIRS in took:
        rows.append(Row(GROUP, f"a review, {what}: {THEIRS}", took[THEIRS]))
        ratio = factor(tails[OURS], tails[THEIRS])
        compared.append(Comparison(f"the P99 of {THEIRS}", "x", ratio, P99_AT_MOST))
    compared.append(Comparison("", "ms, the P99", exactly(tail), P99_MILLISECONDS_AT_MOST))
    return [*rows, Row(GROUP, f"a review, {what}: {OURS}", took[OURS], compared)]


def _load(what: str, lines: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Several callers at once: what a review takes of the processors, and how many are answered."""
    used: dict[str, list[float]] = defaultdict(list)
    answered: dict[str, list[float]] = defaultdict(list)
    for line in lines:
        used[line["way"]].append(line["cpuSeconds"] / line["reviews"] * 1000)
        answered[line["way"]].append(line["reviews"] / line["seconds"])
    rows = []
    for way in (THEIRS, OURS):
        if way not in used:
            continue
        compared = []
        if way == OURS and THEIRS in used:
            compared.append(Comparison(THEIRS, "x", factor(used[OURS], used[THEIRS]), CPU_AT_MOST))
        rows.append(Row(GROUP, f"  processor a review, {what}: {way}", used[way], compared))
        rows.append(Row(GROUP, f"  reviews a second, {what}: {way}", answered[way], unit="/s"))
    return rows


def _memory(memory: Mapping[str, float]) -> list[Row]:
    rows = []
    for way in (THEIRS, OURS):
        if way not in memory:
            continue
        compared = []
        if way == OURS and THEIRS in memory:
            ratio = exactly(memory[OURS] / memory[THEIRS])
            compared.append(Comparison(THEIRS, "x", ratio, MEMORY_AT_MOST))
        what = f"  resident, the highest: {way}"
        rows.append(Row(GROUP, what, [memory[way]], compared, unit="MiB"))
    return rows
