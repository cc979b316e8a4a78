"""Entering a machine's namespaces."""

from __future__ import annotations

from collections.abc import Sequence


def enter(pid: int, argv: Sequence[str]) -> list[str]:
    """The command that runs `argv` in all namespaces of the machine whose process 1 is `pid`.

    The mounts as well: a machine has its own /run, /var and /proc.
    """
    return ["nsenter", f"--target={pid}", "--all", "--", *argv]


def enter_network(pid: int, netns: str, argv: Sequence[str]) -> list[str]:
    """The command that runs `argv` in a network namespace known by its path in the machine."""
    return enter(pid, ["nsenter", f"--net={netns}", "--", *argv])
