"""Collecting on a node of any cluster, as root. Nothing that may hold a secret is read: no Secrets,
no ConfigMaps, no environment or arguments of pods."""

from __future__ import annotations

import os
from pathlib import Path

from collectlib import node
from collectlib.jobs import Job, printed, run, write_index

_UNITS = (
    "multinet-nodeagent.service",
    "multinet-nodeagent.socket",
    "kubelet",
    "containerd",
    "crio",
)
_SINCE = "-24h"
_KUBECONFIGS = ("/etc/kubernetes/admin.conf", "/etc/kubernetes/kubelet.conf")
_FILES = {
    "/var/lib/multinet": "multinet-state",
    "/etc/default/multinet-nodeagent": "etc/multinet-nodeagent",
    "/var/lib/kubelet/config.yaml": "etc/kubelet-config.yaml",
    "/var/lib/kubelet/kubeadm-flags.env": "etc/kubeadm-flags.env",
}
_PODS = (
    "custom-columns=NAMESPACE:.metadata.namespace,NAME:.metadata.name,UID:.metadata.uid,"
    "NODE:.spec.nodeName,PHASE:.status.phase,IPS:.status.podIPs[*].ip,"
    r"NETWORKS:.metadata.annotations.multinet\.dev/networks,"
    r"RESOLVED:.metadata.annotations.multinet\.dev/resolved,"
    'READY:.status.conditions[?(@.type=="Ready")].status,'
    'GATE:.status.conditions[?(@.type=="multinet.dev/networks-ready")].status,'
    'REASON:.status.conditions[?(@.type=="multinet.dev/networks-ready")].reason'
)
_KINDS = (
    "customresourcedefinitions,mutatingwebhookconfigurations,validatingwebhookconfigurations,"
    "validatingadmissionpolicies,validatingadmissionpolicybindings"
)
_PROGRAMS = "multinet-nodeag|kubelet|containerd|crio"


def collect(target: Path, kubeconfig: str = "") -> None:
    """Fills the directory and writes its index."""
    ordered = jobs(target, kubeconfig)
    for source, name in _FILES.items():
        try:
            node.copy(Path(source), target / name)
        except OSError as error:
            with (target / "not-copied").open("a") as file:
                file.write(f"{source}: {error}\n")
    run(ordered)
    write_index(target, ordered, node.namespaces_of_pods(target))


def jobs(target: Path, kubeconfig: str) -> list[Job]:
    """All that is asked."""
    return [
        *_log_jobs(target),
        *_system_jobs(target),
        *_object_jobs(target, kubeconfig),
        *node.network_jobs(target, node.here),
        *node.runtime_jobs(target, node.here, "crictl"),
    ]


def _log_jobs(target: Path) -> list[Job]:
    return [
        Job(
            target / "log" / unit,
            ["journalctl", "--no-pager", "-o", "short-iso-precise", "--since", _SINCE, "-u", unit],
        )
        for unit in _UNITS
    ]


def _system_jobs(target: Path) -> list[Job]:
    place = target / "system"
    processes = f"ps -eo pid,ppid,stat,rss,lstart,comm,args | grep -E '{_PROGRAMS}'"
    return [
        Job(place / "kernel", ["uname", "-a"]),
        Job(place / "release", ["cat", "/etc/os-release"]),
        Job(place / "boot-id", ["cat", "/proc/sys/kernel/random/boot_id"]),
        Job(place / "programs", ["bash", "-c", processes]),
        Job(place / "units", ["systemctl", "status", "--no-pager", "--lines=0", *_UNITS]),
        Job(place / "bridge-sysctls", ["sysctl", "-a", "-r", "^net.bridge"]),
        Job(place / "modules", ["lsmod"]),
        Job(place / "disk", ["df", "-h", "/var/lib", "/run"]),
        Job(place / "agent-program", ["ls", "-l", "/usr/bin/multinet-nodeagent"]),
    ]


def _object_jobs(target: Path, kubeconfig: str) -> list[Job]:
    """With a node's own credentials many of these are refused; their errors say so."""
    found = [path for path in _KUBECONFIGS if Path(path).is_file()]
    kubeconfig = kubeconfig or os.environ.get("KUBECONFIG", "") or (found[0] if found else "")
    kubectl = ["kubectl", f"--kubeconfig={kubeconfig}", "--request-timeout=20s"]
    place = target / "objects"
    listed = printed([*kubectl, "api-resources", "--api-group=multinet.dev", "-o", "name"])
    kinds = [*listed.split(), "nodes"]
    return [
        Job(place / "pods.txt", [*kubectl, "get", "pods", "-A", "-o", _PODS]),
        Job(place / "events.txt", [*kubectl, "get", "events", "-A", "--sort-by=.lastTimestamp"]),
        Job(place / "installed.yaml", [*kubectl, "get", "-o", "yaml", _KINDS]),
        Job(place / "system.txt", [*kubectl, "get", "all", "-n", "multinet-system", "-o", "wide"]),
        *(
            Job(place / f"{kind}.yaml", [*kubectl, "get", "-A", "-o", "yaml", kind])
            for kind in kinds
        ),
    ]
