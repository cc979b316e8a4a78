"""A machine's process 1: makes the machine's view of the file system, then supervises.

Run as `python3 -m clusterlib.machine SPEC`, in fresh namespaces; see launch.py.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from clusterlib.components import MachineSpec
from clusterlib.supervisor import Supervisor

_MOUNT_SECONDS = 10


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, timeout=_MOUNT_SECONDS)


def _below(path: str, top: str) -> bool:
    return path == top or path.startswith(f"{top}/")


def make_file_system(spec: MachineSpec) -> None:
    """Gives the machine its own /run, /var and /proc; all else is the host's.

    Nothing of this reaches the host: the mounts are private first. They are made shared again
    within the machine, since the kubelet hands mounts on to its containers.
    """
    _mount("--make-rprivate", "/")
    for private, public in ((spec.run, "/run"), (spec.var, "/var")):
        for path in spec.visible:
            if _below(path, public):
                inside = Path(private + path[len(public) :])
                inside.mkdir(parents=True, exist_ok=True)
                _mount("--rbind", path, str(inside))
        _mount("--rbind", private, public)
    for directory in ("lock", "netns"):
        Path("/run", directory).mkdir(exist_ok=True)
    for directory in ("cache", "lib", "log", "tmp"):
        Path("/var", directory).mkdir(exist_ok=True)
    if not os.path.lexists("/var/run"):
        os.symlink("/run", "/var/run")
    # All of /run is memory on a node; here it is the host's disk but for what must be.
    notes = Path("/run/multinet/notes")
    notes.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", "mode=0700", "tmpfs", str(notes))
    _mount("-t", "proc", "proc", "/proc")
    _mount("--make-rshared", "/")


def main() -> int:
    spec = MachineSpec.load(Path(sys.argv[1]))
    # Bound before /run changes, at the path that the host knows it by.
    Path(spec.control_socket).unlink(missing_ok=True)
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    control.bind(spec.control_socket)
    make_file_system(spec)
    socket.sethostname(spec.host_name)
    control.listen(16)
    return Supervisor(spec, control).run()


if __name__ == "__main__":
    sys.exit(main())
