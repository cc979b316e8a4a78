"""What the agent's part of a call consists of, as the agent itself traces it."""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping

# A line of the agent's log: `... attached pod=default/bench-one ... steps="resolve 0.02 claim 0.01"`.
_ATTACHED = re.compile(r'attached pod="?[^/\s]*/([^"\s]+)"? .*steps="([^"]*)"')
RUNTIME = "forward"
"""The step in which the runtime works."""
REST = "relay and the rest"


def medians(log: Iterable[str]) -> dict[str, dict[str, float]]:
    """By pod the median of each step in milliseconds, in the steps' order; without the runtime's."""
    taken: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for line in log:
        found = _ATTACHED.search(line)
        if not found:
            continue
        words = found.group(2).split()
        for name, time in zip(words[::2], words[1::2], strict=False):
            if name != RUNTIME:
                taken[found.group(1)][name].append(float(time))
    return {
        pod: {step: statistics.median(times) for step, times in steps.items()}
        for pod, steps in taken.items()
    }


def with_rest(steps: Mapping[str, float], whole: float) -> dict[str, float]:
    """Adds what no step holds, so that the parts make up the whole."""
    return {**steps, REST: max(0.0, whole - sum(steps.values()))}
