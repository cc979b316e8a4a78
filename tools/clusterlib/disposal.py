"""Removing a cluster, whole or in whatever state a killed run left it."""

from __future__ import annotations

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clusterlib import processes
from clusterlib.errors import ClusterError
from clusterlib.layout import Layout, Machine

_CGROUP_ROOT = Path("/sys/fs/cgroup")
_CGROUP_SECONDS = 5.0
_CONTAINERD_CGROUP = "k8s.io"
"""Where containerd puts containers whose kubelet names no parent, as ours, which manages none."""


def remove(layout: Layout) -> bool:
    """Kills the cluster's machines and removes its files and cgroups; says if there was anything.

    Mounts, links and addresses need no care: they live in the machines' namespaces and end with
    them.
    """
    machines = layout.machines()
    containers = [identifier for machine in machines for identifier in _containers(machine)]
    with ThreadPoolExecutor(max_workers=8) as pool:
        killed = list(pool.map(processes.kill_machine, machines))
    found = any(killed) or layout.state.exists() or layout.data.exists()
    _check_nothing_mounted(layout)
    for identifier in containers:
        remove_cgroups(f"{_CONTAINERD_CGROUP}/{identifier}")
    for directory in (layout.state, layout.data):
        _remove_tree(directory)
    return found


def _containers(machine: Machine) -> list[str]:
    """The containers that containerd has a task for; those that ended have no cgroup any more."""
    tasks = machine.run / "containerd" / "io.containerd.runtime.v2.task" / "k8s.io"
    return [entry.name for entry in tasks.iterdir()] if tasks.is_dir() else []


def is_whole(layout: Layout) -> bool:
    """Whether all machines of the cluster are alive; one whose machine died can't be mended."""
    machines = layout.machines()
    return bool(machines) and all(processes.alive(machine) is not None for machine in machines)


def _check_nothing_mounted(layout: Layout) -> None:
    """Removing files below a mount would remove someone else's files."""
    tops = (f"{layout.state}/", f"{layout.data}/")
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        target = line.split()[4]
        if target.startswith(tops):
            raise ClusterError(f"remove cluster {layout.name}: {target} is still mounted")


def remove_cgroups(name: str) -> None:
    """Removes the cgroups of that path, in every hierarchy (one of v2, or those of v1)."""
    tops = [_CGROUP_ROOT / name, *_CGROUP_ROOT.glob(f"*/{name}")]
    for top in {path.resolve() for path in tops if path.is_dir()}:
        deepest_first = [Path(path) for path, _, _ in os.walk(top, topdown=False)]
        for directory in deepest_first:
            _remove_cgroup(directory)
        try:
            top.parent.rmdir()  # once no other cluster has a container there
        except OSError:
            pass


def _remove_cgroup(directory: Path) -> None:
    """A cgroup is busy for a moment after its last process was killed."""
    deadline = time.monotonic() + _CGROUP_SECONDS
    while True:
        try:
            directory.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if time.monotonic() >= deadline:
                raise ClusterError(f"remove cgroup {directory}: {error.strerror}") from error
            time.sleep(0.05)


def _remove_tree(directory: Path) -> None:
    if not directory.exists():
        return
    shutil.rmtree(directory)
    try:
        directory.parent.rmdir()  # once the last cluster is gone
    except OSError:
        pass
