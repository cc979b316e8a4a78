"""Ctrl-C and its like: what they end, and what they have to wait for."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def end_on_signals() -> None:
    """SIGTERM, and a terminal that goes away, end the program as Ctrl-C does: it cleans up first.

    One that is ignored, as under nohup, stays so.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda got, _: sys.exit(128 + got))


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Runs what must not be cut in half; a signal that comes meanwhile is served right after.

    By handlers, not by a mask: a mask is one thread's, and Python serves the signals of all threads
    in the main one. Called from the main thread.
    """
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, lambda got, _: came.append(got))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in came[:1]:
            signal.raise_signal(number)
