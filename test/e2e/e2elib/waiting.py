"""Waiting for a condition, always with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def wait_until(
    ready: Callable[[], Value], timeout: float, what: str, interval: float = 0.2
) -> Value:
    """Asks until the answer is true and returns it.

    An AssertionError, a RuntimeError or a LookupError (a status that nobody has written yet) of
    `ready` counts as "not yet"; the last one is in the message when the time is over.
    """
    deadline = time.monotonic() + timeout
    last = "never asked"
    while True:
        try:
            value = ready()
            if value:
                return value
            last = f"got {value!r}"
        except (AssertionError, RuntimeError, LookupError) as error:
            last = (
                f"{type(error).__name__}: {error}" if isinstance(error, LookupError) else str(error)
            )
        if time.monotonic() >= deadline:
            raise AssertionError(f"wait for {what}: not within {timeout:g} s: {last}")
        time.sleep(interval)


def hold(holds: Callable[[], object], seconds: float, what: str, interval: float = 0.5) -> None:
    """Asks for so long; the first answer that isn't true is a failure."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert holds(), f"{what}: not any more"
        time.sleep(interval)
