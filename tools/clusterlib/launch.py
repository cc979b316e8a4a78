"""Starting a machine: namespaces, and in them the supervisor as process 1.

Process 1 of a process namespace is the machine's life: when it dies the kernel kills all others in
it, and with them go the machine's mounts and its network. So there is nothing else to track, and
nothing that a killed run can leave behind but one process, directories and cgroups.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import sys
from pathlib import Path

from clusterlib import interrupts, processes
from clusterlib.errors import EXIT_UNUSABLE, ClusterError
from clusterlib.layout import TOOLS, Machine

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUTS = 0x04000000
_CLONE_NEWIPC = 0x08000000
_CLONE_NEWPID = 0x20000000
_CLONE_NEWNET = 0x40000000
_NAMESPACES = _CLONE_NEWNS | _CLONE_NEWUTS | _CLONE_NEWIPC | _CLONE_NEWPID | _CLONE_NEWNET


def launch(machine: Machine, inherited: list[int]) -> int:
    """Starts the machine that `machine.spec_file` describes; returns its process 1.

    `inherited` are descriptors that the supervisor gets under the same numbers. The caller's
    network, mounts and processes stay as they are.
    """
    # A machine that is started and not yet written down would outlive a Ctrl-C; and until they are
    # other programs, the forked children would serve it as this one does.
    with interrupts.held_back():
        return _launch(machine, inherited)


def _launch(machine: Machine, inherited: list[int]) -> int:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _be_launcher(machine, inherited, writer)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    if not answer.isdigit():
        raise ClusterError(
            f"start machine {machine.host_name}: {answer or 'its launcher died'}", EXIT_UNUSABLE
        )
    pid = int(answer)
    record = processes.identify(pid)
    if record is None:
        raise ClusterError(f"start machine {machine.host_name}: it ended at once")
    machine.init_file.write_text(json.dumps(record) + "\n")
    machine.netns.unlink(missing_ok=True)
    machine.netns.symlink_to(f"/proc/{pid}/ns/net")
    return pid


def _be_launcher(machine: Machine, inherited: list[int], writer: int) -> None:
    """Runs in the forked child: unshares, forks process 1, tells its number, ends."""
    try:
        os.setsid()
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_NAMESPACES) != 0:
            raise OSError(f"make namespaces: {_refusal(ctypes.get_errno())}")
        init = os.fork()
        if init == 0:
            _be_init(machine, inherited)
        os.write(writer, str(init).encode())
        os._exit(0)
    except OSError as error:
        os.write(writer, str(error).encode())
        os._exit(1)


def _refusal(number: int) -> str:
    if number == errno.ENOSPC:
        return "there are as many as sysctl user.max_*_namespaces allows"
    return f"{os.strerror(number)}; this needs root with CAP_SYS_ADMIN"


def _be_init(machine: Machine, inherited: list[int]) -> None:
    log = os.open(
        machine.logs / "supervisor.log",
        os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC,
        0o644,
    )
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    # What the caller's caller holds, the lock of a flock(1) say, isn't the machine's to hold.
    for fd in [int(name) for name in os.listdir("/proc/self/fd")]:
        if fd > 2:
            _set_inheritable(fd, fd in inherited)
    environment = {"PYTHONPATH": str(TOOLS), "PATH": os.environ.get("PATH", os.defpath)}
    os.execve(sys.executable, processes.supervisor_argv(machine), environment)


def _set_inheritable(fd: int, inheritable: bool) -> None:
    with contextlib.suppress(OSError):  # the listing's own is closed by now
        os.set_inheritable(fd, inheritable)


def control_directory(machine: Machine) -> Path:
    """Makes the machine's directories; all but `run` and `var` are this tool's own."""
    for directory in (machine.run, machine.var, machine.logs, machine.etc):
        directory.mkdir(parents=True, exist_ok=True)
    return machine.state
