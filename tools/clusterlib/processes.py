"""Knowing a process again: its number alone may be someone else's by now."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from clusterlib.errors import ClusterError
from clusterlib.layout import Machine

_KILL_SECONDS = 10.0


def supervisor_argv(machine: Machine) -> list[str]:
    """The command line of a machine's process 1, by which it is found when no record is left."""
    return [sys.executable, "-B", "-m", "clusterlib.machine", str(machine.spec_file)]


def start_time(stat: str) -> int:
    """The start time in clock ticks since boot, from the text of /proc/PID/stat.

    The second field is the program's name, which may hold spaces and parentheses.
    """
    return int(stat.rpartition(")")[2].split()[19])


def identify(pid: int) -> dict[str, int] | None:
    """A record of a living process, or None when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    if stat.rpartition(")")[2].split()[0] in ("Z", "X"):
        return None
    return {"pid": pid, "start": start_time(stat)}


def alive(machine: Machine) -> int | None:
    """The machine's process 1 if it runs, else None."""
    try:
        record = json.loads(machine.init_file.read_text())
    except (OSError, json.JSONDecodeError):
        return None
    if identify(record["pid"]) == record:
        return int(record["pid"])
    return None


def find_unrecorded(machine: Machine) -> list[int]:
    """Supervisors of the machine that a killed run started without writing them down."""
    wanted = supervisor_argv(machine)[2:]
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            argv = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
        except OSError:
            continue
        if argv[2:] == wanted:
            found.append(int(entry.name))
    return found


def kill_machine(machine: Machine) -> bool:
    """Kills everything that runs in the machine; says whether there was anything."""
    victims = set(find_unrecorded(machine))
    recorded = alive(machine)
    if recorded is not None:
        victims.add(recorded)
    for pid in victims:
        _kill(pid)
    return bool(victims)


def _kill(pid: int) -> None:
    """Kills a process and waits for its end, which for process 1 of a namespace is the end of all
    processes in it."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        deadline = time.monotonic() + _KILL_SECONDS
        while identify(pid) is not None:
            if time.monotonic() >= deadline:
                raise ClusterError(
                    f"kill process {pid}: still there after {_KILL_SECONDS:g} s; try again"
                )
            time.sleep(0.02)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)
