"""Entering a machine's namespaces."""

from __future__ import annotations

from collections.abc import Sequence


def enter(pid: int, argv: Sequence[str]) -> list[str]:
    """The command that runs `argv` in all namespaces of the machine whose process 1 is `pid`.

    The mounts as well: a machine has its own /run, /var and /proc.
    """
    return ["nsenter", f"--target={pid}", "--all", "--", *argv]
