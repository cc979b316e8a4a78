"""`collect`: everything that is needed to understand a failure, in one directory."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from clusterlib import processes
from clusterlib.inside import enter, enter_network
from clusterlib.layout import Layout, Machine

if TYPE_CHECKING:
    from clusterlib.cluster import Cluster

_COMMAND_SECONDS = 30

_NETWORK_COMMANDS = {
    "link": ("ip", "-d", "-s", "link"),
    "address": ("ip", "address"),
    "route4": ("ip", "-4", "route", "show", "table", "all"),
    "route6": ("ip", "-6", "route", "show", "table", "all"),
    "rule": ("ip", "rule"),
    "neighbour": ("ip", "neighbour"),
    "fdb": ("bridge", "fdb"),
    "nft": ("nft", "-a", "list", "ruleset"),
    "sockets": ("ss", "-anp"),
}
_CLUSTER_KINDS = (
    "nodes,namespaces,pods,services,endpointslices,deployments,daemonsets,replicasets,statefulsets,"
    "jobs,configmaps,leases,networkpolicies,customresourcedefinitions,mutatingwebhookconfigurations,"
    "validatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings"
)


def copy_logs(layout: Layout, target: Path) -> None:
    """Copies the logs and the configuration of every machine, replacing what is there."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for machine in layout.machines():
        for directory in (machine.logs, machine.etc):
            if directory.is_dir():
                shutil.copytree(directory, target / machine.name / directory.name, symlinks=True)


def collect(cluster: Cluster, target: Path) -> None:
    """Fills the directory. A command that fails leaves its error in its file; nothing stops it."""
    copy_logs(cluster.layout, target)
    jobs = _cluster_jobs(cluster, target)
    for machine in cluster.machines():
        pid = processes.alive(machine)
        place = target / machine.name
        place.mkdir(parents=True, exist_ok=True)
        if pid is None:
            (place / "DEAD").write_text("the machine's process 1 doesn't run any more\n")
            continue
        jobs += _machine_jobs(machine, pid, place)
        if machine.name != "cp":
            _copy_node_files(machine, place)
            jobs += _runtime_jobs(cluster, pid, place)
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(lambda job: _save(*job), jobs))


_Job = tuple[Path, Sequence[str]]


def _save(file: Path, argv: Sequence[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            list(argv), capture_output=True, timeout=_COMMAND_SECONDS, check=False
        )
        file.write_bytes(done.stdout)
        if done.returncode != 0 or done.stderr:
            note = f"exit code {done.returncode}\n".encode() + done.stderr
            file.with_name(f"{file.name}.error").write_bytes(note)
    except (OSError, subprocess.TimeoutExpired) as error:
        file.with_name(f"{file.name}.error").write_text(f"{error}\n")


def _cluster_jobs(cluster: Cluster, target: Path) -> list[_Job]:
    kubectl = [str(cluster.programs.kubernetes / "kubectl")]
    kubectl += [f"--kubeconfig={cluster.layout.kubeconfig}", "--request-timeout=20s"]
    listed = subprocess.run(
        [*kubectl, "api-resources", "--api-group=multinet.dev", "-o", "name"],
        capture_output=True,
        text=True,
        timeout=_COMMAND_SECONDS,
        check=False,
    )
    own = ",".join(listed.stdout.split())
    jobs: list[_Job] = [
        (target / "pods.txt", [*kubectl, "get", "pods", "-A", "-o", "wide"]),
        (target / "core.yaml", [*kubectl, "get", "-A", "-o", "yaml", _CLUSTER_KINDS]),
        (target / "events.txt", [*kubectl, "get", "events", "-A", "--sort-by=.lastTimestamp"]),
        (target / "pods-described.txt", [*kubectl, "describe", "pods", "-A"]),
        (target / "api-metrics.txt", [*kubectl, "get", "--raw", "/metrics"]),
    ]
    if own:
        jobs.append((target / "multinet.yaml", [*kubectl, "get", "-A", "-o", "yaml", own]))
    return jobs


def _machine_jobs(machine: Machine, pid: int, place: Path) -> list[_Job]:
    jobs: list[_Job] = [
        (place / "network" / name, enter(pid, argv)) for name, argv in _NETWORK_COMMANDS.items()
    ]
    if (machine.run / "multinet" / "switch").exists():
        for name, argv in _NETWORK_COMMANDS.items():
            command = enter_network(pid, "/run/multinet/switch", argv)
            jobs.append((place / "switch" / name, command))
    jobs.append((place / "processes", enter(pid, ["ps", "-eo", "pid,ppid,stat,rss,lstart,args"])))
    jobs.append((place / "mounts", enter(pid, ["cat", "/proc/1/mountinfo"])))
    netns_directory = machine.run / "netns"
    if netns_directory.is_dir():
        for netns in sorted(netns_directory.iterdir()):
            for name, argv in _NETWORK_COMMANDS.items():
                command = enter_network(pid, f"/run/netns/{netns.name}", argv)
                jobs.append((place / "pods" / netns.name / name, command))
    return jobs


def _runtime_jobs(cluster: Cluster, pid: int, place: Path) -> list[_Job]:
    crictl = [
        str(cluster.programs.crictl / "crictl"),
        "--runtime-endpoint=unix:///run/containerd/containerd.sock",
    ]
    listed = subprocess.run(
        enter(pid, [*crictl, "pods", "--quiet"]),
        capture_output=True,
        text=True,
        timeout=_COMMAND_SECONDS,
        check=False,
    )
    jobs: list[_Job] = [
        (place / "runtime" / "pods", enter(pid, [*crictl, "pods"])),
        (place / "runtime" / "containers", enter(pid, [*crictl, "ps", "-a"])),
        (place / "runtime" / "images", enter(pid, [*crictl, "images"])),
    ]
    for sandbox in listed.stdout.split():
        command = enter(pid, [*crictl, "inspectp", sandbox])
        jobs.append((place / "runtime" / f"{sandbox[:13]}.json", command))
    return jobs


def _copy_node_files(machine: Machine, place: Path) -> None:
    """The agent's state and the pods' logs, as files."""
    for source, name in (
        (machine.var / "lib" / "multinet", "multinet-state"),
        (machine.var / "log" / "pods", "pod-logs"),
    ):
        if source.is_dir():
            shutil.copytree(
                source,
                place / name,
                symlinks=True,
                ignore=lambda _, names: [entry for entry in names if entry.endswith(".sock")],
                dirs_exist_ok=True,
            )
