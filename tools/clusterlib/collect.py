"""`collect`: everything that is needed to understand a failure, in one directory."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clusterlib import processes
from clusterlib.inside import enter
from clusterlib.layout import CONTROL_PLANE, Layout, Machine
from collectlib import node
from collectlib.jobs import Job, printed, run, write_index

if TYPE_CHECKING:
    from clusterlib.cluster import Cluster

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
        jobs += _machine_jobs(cluster, machine, pid, place)
    run(jobs)
    notes = [
        f"{machine.name}/{note}"
        for machine in cluster.machines()
        for note in node.namespaces_of_pods(target / machine.name)
    ]
    write_index(target, jobs, notes)


def _cluster_jobs(cluster: Cluster, target: Path) -> list[Job]:
    kubectl = [str(cluster.programs.kubernetes / "kubectl")]
    kubectl += [f"--kubeconfig={cluster.layout.kubeconfig}", "--request-timeout=20s"]
    listed = printed([*kubectl, "api-resources", "--api-group=multinet.dev", "-o", "name"])
    own = ",".join(listed.split())
    jobs = [
        Job(target / "pods.txt", [*kubectl, "get", "pods", "-A", "-o", "wide"]),
        Job(target / "core.yaml", [*kubectl, "get", "-A", "-o", "yaml", _CLUSTER_KINDS]),
        Job(target / "events.txt", [*kubectl, "get", "events", "-A", "--sort-by=.lastTimestamp"]),
        Job(target / "pods-described.txt", [*kubectl, "describe", "pods", "-A"]),
        Job(target / "api-metrics.txt", [*kubectl, "get", "--raw", "/metrics"]),
    ]
    if own:
        jobs.append(Job(target / "multinet.yaml", [*kubectl, "get", "-A", "-o", "yaml", own]))
    return jobs


def _machine_jobs(cluster: Cluster, machine: Machine, pid: int, place: Path) -> list[Job]:
    def inside(argv: Sequence[str]) -> list[str]:
        return enter(pid, argv)

    jobs = node.network_jobs(place, inside)
    jobs.append(Job(place / "processes", inside(["ps", "-eo", "pid,ppid,stat,rss,lstart,args"])))
    jobs.append(Job(place / "mounts", inside(["cat", "/proc/1/mountinfo"])))
    if machine.name != CONTROL_PLANE:
        jobs += node.runtime_jobs(place, inside, str(cluster.programs.crictl / "crictl"))
        # The agent's state and the pods' logs, as files.
        node.copy(machine.var / "lib" / "multinet", place / "multinet-state")
        node.copy(machine.var / "log" / "pods", place / "pod-logs")
    return jobs
