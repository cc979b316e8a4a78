"""What can be known to fail before anything is started."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
from pathlib import Path

from clusterlib.addressing import port_candidates
from clusterlib.errors import EXIT_UNUSABLE, ClusterError
from clusterlib.layout import cache_root

_FREE_GB = 3
_PROGRAMS = ("ip", "nft", "nsenter", "unshare", "mount", "runc", "openssl", "busybox", "cc", "sysctl")
_BACKLOG = 128


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
    cache_root().mkdir(parents=True, exist_ok=True)
    for directory in (cache_root(), Path("/var/lib"), Path("/run")):
        free = shutil.disk_usage(directory).free / 1e9
        wanted = 0.2 if directory == Path("/run") else _FREE_GB
        if free < wanted:
            raise ClusterError(
                f"start a cluster: {directory} has {free:.1f} GB free, want {wanted} GB; free some "
                "space, or set MULTINET_CACHE to a directory on a larger disk",
                EXIT_UNUSABLE,
            )


def _check_namespaces() -> None:
    """Tries what `launch` will do, before minutes of building."""
    done = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "true"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ClusterError(
            f"start a cluster: this machine refuses namespaces ({done.stderr.strip()}); it needs root "
            "with CAP_SYS_ADMIN, which most containers don't give",
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
