"""What can be known to fail before anything is started."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
from pathlib import Path

from clusterlib import space
from clusterlib.addressing import port_candidates
from clusterlib.errors import EXIT_UNUSABLE, ClusterError
from clusterlib.layout import DATA_ROOT, RUN_ROOT, cache_root

_DATA_GB = 3.0
_RUN_GB = 0.1
_CACHE_GB = 0.5
_GO_GB = 5.0
_PROGRAMS = (
    "ip",
    "nft",
    "nsenter",
    "unshare",
    "mount",
    "runc",
    "openssl",
    "busybox",
    "cc",
    "sysctl",
)
_BACKLOG = 128
_MOUNTS = "mount --make-rprivate / && mount -t proc proc /proc"


def check_machine() -> None:
    """Raises ClusterError with one clear sentence when a cluster can't run here."""
    if os.geteuid() != 0:
        raise ClusterError(
            "start a cluster: this needs root, to make namespaces and containers; use sudo",
            EXIT_UNUSABLE,
        )
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        raise ClusterError(
            f"start a cluster: {', '.join(missing)} not installed; run tools/install-deps",
            EXIT_UNUSABLE,
        )
    if not Path("/sys/fs/cgroup").is_dir() or not any(Path("/sys/fs/cgroup").iterdir()):
        raise ClusterError(
            "start a cluster: no cgroups at /sys/fs/cgroup; the kubelet needs them", EXIT_UNUSABLE
        )
    _check_namespaces()
    space.check(needs())


def needs() -> dict[Path, float]:
    """GB that a cluster takes, and its build as long as there is none; measured."""
    wanted = {DATA_ROOT: _DATA_GB, RUN_ROOT: _RUN_GB}
    if not any(cache_root().glob("bin/kubernetes-*")):
        wanted |= {cache_root(): _CACHE_GB, _go_caches(): _GO_GB}
    return wanted


def _go_caches() -> Path:
    return Path(os.environ.get("GOCACHE") or Path(os.environ.get("HOME") or "/root") / ".cache")


def _check_namespaces() -> None:
    """Tries what `launch` will do, before minutes of building."""
    done = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "sh", "-c", _MOUNTS],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ClusterError(
            f"start a cluster: this machine refuses namespaces ({done.stderr.strip()}); it needs root "
            "with CAP_SYS_ADMIN, which most containers don't give, and sysctl user.max_*_namespaces "
            "above 0",
            EXIT_UNUSABLE,
        )


def open_port(name: str, wanted: int | None) -> socket.socket:
    """Binds the loopback port of the cluster: the wanted one, or the first free of its own."""
    candidates = [wanted] if wanted else port_candidates(name)
    for port in candidates:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(_BACKLOG)
            return listener
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE:
                raise ClusterError(
                    f"listen on 127.0.0.1:{port}: {error.strerror}", EXIT_UNUSABLE
                ) from error
    taken = f"port {wanted} is" if wanted else f"ports {candidates[0]} to {candidates[-1]} are"
    raise ClusterError(
        f"listen on loopback for cluster {name}: {taken} taken; choose a free one with --port",
        EXIT_UNUSABLE,
    )
