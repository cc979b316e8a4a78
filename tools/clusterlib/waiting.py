"""Waiting for a condition, with a deadline and a reason when it isn't met."""

from __future__ import annotations

import time
from collections.abc import Callable

from clusterlib.errors import ClusterError


def wait_for(
    what: str, probe: Callable[[], str | None], *, timeout: float, interval: float = 0.1
) -> None:
    """Calls `probe` until it returns None ("it is so"); a string says what is still missing.

    Raises ClusterError with the last thing missing after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        missing = probe()
        if missing is None:
            return
        if time.monotonic() >= deadline:
            raise ClusterError(f"wait for {what}: not so after {timeout:g} s: {missing}")
        time.sleep(interval)
