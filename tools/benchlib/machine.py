"""What the figures were measured on, and whether it had nothing else to do."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

_WATCHED_SECONDS = 2.0
_SETTLE_SECONDS = 10.0
QUIET = 0.25
"""A share of the processors' time above which others disturb the measurement."""


def describe() -> dict[str, object]:
    """The class of machine; nothing that tells one from another of its class."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count(),
        "memoryGiB": round(memory / 2**30),
        "kernel": platform.release(),
        "processor": _processor(),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def busy() -> float:
    """The share of all processors' time that is in use now, by watching for a moment.

    The load average lags by minutes: after a build it says nothing of now.
    """
    before = _times()
    time.sleep(_WATCHED_SECONDS)
    passed = [new - old for new, old in zip(_times(), before, strict=True)]
    idle = passed[3] + passed[4]
    return 1 - idle / max(1, sum(passed))


def settled() -> float:
    """The same, once it is quiet; or what it still is after ten seconds.

    A cluster that has just started, or lost a hundred sandboxes, works on for a moment.
    """
    share = busy()
    until = time.monotonic() + _SETTLE_SECONDS
    while share > QUIET and time.monotonic() < until:
        share = busy()
    return share


def _times() -> list[int]:
    """user, nice, system, idle, iowait, irq, softirq, steal in ticks."""
    words = Path("/proc/stat").read_text().splitlines()[0].split()
    return [int(word) for word in words[1:9]]
