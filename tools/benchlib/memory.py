"""How much memory our programs take, wherever in the cluster they run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from benchlib.rows import Memory

PROGRAMS = ("multinet-nodeagent", "multinet-controller", "multinet-webhook")


def measure(root: int, when: str, programs: Sequence[str] = PROGRAMS) -> list[Memory]:
    """Of each of the programs under the process `root`; of replicas the largest."""
    found: dict[str, Memory] = {}
    for pid in descendants(root):
        with contextlib.suppress(OSError):
            program = Path(os.readlink(f"/proc/{pid}/exe")).name
            if program not in programs:
                continue
            rollup = _fields(Path(f"/proc/{pid}/smaps_rollup").read_text())
            status = _fields(Path(f"/proc/{pid}/status").read_text())
            one = Memory(program, when, rollup["Rss"], rollup["Pss"], status["VmHWM"])
            if program not in found or found[program].rss < one.rss:
                found[program] = one
    return [found[program] for program in programs if program in found]


def descendants(root: int) -> list[int]:
    """All processes under the process `root`, whatever namespaces they are in."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [root]
    while todo:
        mine = children.get(todo.pop(), [])
        found += mine
        todo += mine
    return found


def _fields(text: str) -> dict[str, int]:
    """The lines `Name:   123 kB`."""
    values = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if rest.endswith(" kB"):
            values[name] = int(rest.split()[0])
    return values
