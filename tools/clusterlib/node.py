"""The programs of a node and their configuration."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml

from clusterlib.addressing import CLUSTER_PREFIXES, DNS_SERVICE_V4, POD_CIDRS, NodeAddresses
from clusterlib.components import RARELY_COLLECTED, Component
from clusterlib.errors import EXIT_UNUSABLE, ClusterError
from clusterlib.gobuild import Programs
from clusterlib.images import PAUSE
from clusterlib.layout import Layout, Machine

RUNTIME_SOCKET = "/run/containerd/containerd.sock"
AGENT_SOCKET = "/run/multinet/cri.sock"
AGENT_STATE = "/var/lib/multinet"
STATIC_PODS = "/var/lib/kubelet/manifests"
_AGENT_RESTART_SECONDS = 0.2


@dataclass(frozen=True)
class Agent:
    """The program between kubelet and containerd, with arguments beyond the usual ones."""

    path: Path
    arguments: tuple[str, ...] = ()


def components(
    layout: Layout,
    machine: Machine,
    addresses: NodeAddresses,
    programs: Programs,
    agent: Agent | None,
) -> list[Component]:
    """All programs of one node; also writes their configuration."""
    environment = {"PATH": programs.path(), "HOME": "/root"} | RARELY_COLLECTED
    _write_containerd_config(machine, programs)
    _write_cni_config(machine, addresses)
    _write_kubelet_config(layout, machine, agent)
    result = [
        Component(
            "containerd",
            [str(programs.containerd / "containerd"), f"--config={machine.etc}/containerd.toml"],
            environment,
            autostart=True,
        )
    ]
    if agent is not None:
        result.append(_agent_component(machine, agent, environment))
    kubelet = [
        str(programs.kubernetes / "kubelet"),
        f"--config={machine.etc}/kubelet.yaml",
        f"--kubeconfig={machine.etc}/kubelet.kubeconfig",
        f"--hostname-override={machine.host_name}",
        f"--node-ip={','.join(addresses.node)}",
        "--root-dir=/var/lib/kubelet",
        "--cert-dir=/var/lib/kubelet/pki",
    ]
    proxy = [
        str(programs.kubernetes / "kube-proxy"),
        f"--kubeconfig={machine.etc}/proxy.kubeconfig",
        f"--hostname-override={machine.host_name}",
        "--proxy-mode=nftables",
        f"--cluster-cidr={','.join(POD_CIDRS)}",
        # These sysctls are the machine's, not the namespace's: leave them alone.
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0s",
        "--conntrack-tcp-timeout-close-wait=0s",
    ]
    result.append(Component("kubelet", kubelet, environment))
    result.append(Component("kube-proxy", proxy, environment))
    return result


def _agent_component(machine: Machine, agent: Agent, environment: dict[str, str]) -> Component:
    argv = [
        str(agent.path),
        f"--node-name={machine.host_name}",
        f"--kubeconfig={machine.etc}/kubelet.kubeconfig",
        f"--listen={AGENT_SOCKET}",
        f"--runtime-endpoint=unix://{RUNTIME_SOCKET}",
        f"--state-dir={AGENT_STATE}",
        f"--cluster-prefix={','.join(CLUSTER_PREFIXES)}",
        *agent.arguments,
    ]
    return Component(
        "agent",
        argv,
        environment,
        environment_file=str(machine.agent_environment),
        listen=AGENT_SOCKET,
        restart_seconds=_AGENT_RESTART_SECONDS,
    )


def containerd_config(cni_bin: Path, cni_conf: Path, runc: str) -> str:
    """containerd's configuration, version 3."""
    return f"""version = 3
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
  address = "{RUNTIME_SOCKET}"

# Copies files instead of stacking layers: works on every file system, also on a stacked one.
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "native"
  use_local_image_pull = true
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{PAUSE}"

[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  enable_unprivileged_icmp = true
  enable_unprivileged_ports = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["{cni_bin}"]
  conf_dir = "{cni_conf}"
[plugins.'io.containerd.cri.v1.runtime'.containerd]
  default_runtime_name = "runc"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = "{runc}"
  SystemdCgroup = false
"""


def _write_containerd_config(machine: Machine, programs: Programs) -> None:
    runc = shutil.which("runc")
    if runc is None:
        raise ClusterError("find runc: not installed; run tools/install-deps", EXIT_UNUSABLE)
    text = containerd_config(programs.containerd, machine.etc / "cni", runc)
    (machine.etc / "containerd.toml").write_text(text)


def cni_config(addresses: NodeAddresses) -> dict[str, object]:
    """The default network: a bridge on each node, addresses from the node's ranges."""
    return {
        "cniVersion": "1.0.0",
        "name": "default",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "hairpinMode": True,
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": subnet}] for subnet in addresses.pod_cidrs],
                    "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _write_cni_config(machine: Machine, addresses: NodeAddresses) -> None:
    directory = machine.etc / "cni"
    directory.mkdir(exist_ok=True)
    text = json.dumps(cni_config(addresses), indent=2)
    (directory / "10-default.conflist").write_text(text + "\n")


def kubelet_config(layout: Layout, machine: Machine, agent: Agent | None) -> dict[str, object]:
    """The kubelet's configuration. It shares the machine with other kubelets and is often itself
    in a container, so it manages no cgroups but its containers' and evicts nothing."""
    certificate = layout.pki / f"kubelet-{machine.name}"
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "::",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{layout.pki}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "clusterDNS": [DNS_SERVICE_V4],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{AGENT_SOCKET if agent else RUNTIME_SOCKET}",
        "imageServiceEndpoint": f"unix://{RUNTIME_SOCKET}",
        "enforceNodeAllocatable": [],
        "evictionHard": {
            "imagefs.available": "0%",
            "memory.available": "0%",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
        },
        "failCgroupV1": False,
        "failSwapOn": False,
        "imageGCHighThresholdPercent": 100,
        "localStorageCapacityIsolation": False,
        "maxPods": 250,
        "oomScoreAdj": 0,
        "resolvConf": f"{machine.etc}/resolv.conf",
        "serializeImagePulls": False,
        "staticPodPath": STATIC_PODS,
        "tlsCertFile": f"{certificate}.crt",
        "tlsPrivateKeyFile": f"{certificate}.key",
    }


def _write_kubelet_config(layout: Layout, machine: Machine, agent: Agent | None) -> None:
    # There before the kubelet starts: then it watches the directory and doesn't poll.
    (machine.var / STATIC_PODS.removeprefix("/var/")).mkdir(parents=True, exist_ok=True)
    (machine.etc / "resolv.conf").write_text(f"nameserver {DNS_SERVICE_V4}\n")
    text = yaml.safe_dump(kubelet_config(layout, machine, agent))
    (machine.etc / "kubelet.yaml").write_text(text)
