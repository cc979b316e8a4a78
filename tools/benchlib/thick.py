"""P6, P7: Multus as its daemon (thick) on the cluster's node, for as many pods and interfaces."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchlib import memory, storm
from benchlib.cluster import BenchCluster
from benchlib.foreign import definition
from benchlib.rows import Memory, Row
from clusterlib.addressing import API_PORT, CONTROL_PLANE_V4
from clusterlib.errors import ClusterError
from clusterlib.run import run

DAEMON = "multus-daemon"
_GROUP = "k8s.cni.cncf.io"
_PLURAL = "network-attachment-definitions"
_ASKED = f"{_GROUP.replace('k8s', 'k8s.v1', 1)}/networks"
_PARENT = "eth1"
_STATE = "/run/thick"
_UP_SECONDS = 30
_CALLS_SECONDS = 300
# As a runtime does: the plugin is executed for each pod, with its namespace. All at once.
_CALL_ALL = """
set -u
call() {
  CNI_COMMAND=$command CNI_CONTAINERID=thick-$1 CNI_NETNS=/run/netns/thick-$1 CNI_IFNAME=eth0 \
  CNI_PATH=$plugins CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=thick-$1;\
K8S_POD_INFRA_CONTAINER_ID=thick-$1" $shim <$state/shim.json >$state/said-$1 2>&1 || cat $state/said-$1
}
for number in $(seq 0 $last); do call $number & done
wait
"""


@dataclass(frozen=True)
class Thick:
    """What one run took."""

    made: float
    """Seconds."""
    stopped: float
    failed: list[str]
    memory: Memory


def measure(cluster: BenchCluster, multus: Path) -> Thick:
    """Its pods and networks are its own; what it made is gone afterwards, its daemon too."""
    _prepare(cluster)
    pods = {f"thick-{i}": ", ".join(storm.NETWORKS) for i in range(storm.PODS)}
    cluster.make_pods(pods, annotation=_ASKED)
    with _namespaces(cluster), _daemon(cluster, multus) as entered:
        made, failed = _call_all(cluster, multus, "ADD")
        stopped, more = _call_all(cluster, multus, "DEL")
        found = memory.measure(entered, "after 440 interfaces", (DAEMON,))
    if not found:
        raise ClusterError("measure Multus thick: its daemon is gone")
    return Thick(made, stopped, failed + more, found[0])


def rows_of(thick: Thick) -> list[Row]:
    what, alone = f"{storm.PODS} pods at once", "their 4 interfaces alone"
    rows = [
        Row("P6", f"  {what} made, {alone}: Multus thick", [thick.made], unit="s"),
        Row("P7", f"  {what} stopped, {alone}: Multus thick", [thick.stopped], unit="s"),
    ]
    rows.append(Row("P6", "  calls that failed: Multus thick", [len(thick.failed)], unit=""))
    mebibytes = thick.memory.peak / 1024
    rows.append(Row("P6", "  Multus thick's highest resident memory", [mebibytes], unit="MiB"))
    return rows


def _prepare(cluster: BenchCluster) -> None:
    account = {"name": "multus", "namespace": "kube-system"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    cluster.apply(
        [
            definition(_GROUP, "v1", _PLURAL, "NetworkAttachmentDefinition"),
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": "multus"},
                "roleRef": role,
                "subjects": [{"kind": "ServiceAccount", **account}],
            },
        ]
    )
    established = f"crd/{_PLURAL}.{_GROUP}"
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", established)
    networks = enumerate(storm.NETWORKS)
    cluster.apply([_network(name, f"10.{60 + number}.0.0/16") for number, name in networks])


def _network(name: str, subnet: str) -> dict[str, Any]:
    config = {
        "cniVersion": "1.0.0",
        "name": name,
        "type": "macvlan",
        "master": _PARENT,
        "mode": "bridge",
        "ipam": {
            "type": "host-local",
            "dataDir": f"{_STATE}/leases",
            "ranges": [[{"subnet": subnet}]],
        },
    }
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"config": json.dumps(config)},
    }


@contextmanager
def _namespaces(cluster: BenchCluster) -> Iterator[None]:
    """One for each pod, as a runtime makes them before it calls its plugin."""
    numbers = f"$(seq 0 {storm.PODS - 1})"
    _shell(cluster, f"for i in {numbers}; do ip netns add thick-$i || exit 1; done")
    try:
        yield
    finally:
        _shell(cluster, f"for i in {numbers}; do ip netns del thick-$i; done")


@contextmanager
def _daemon(cluster: BenchCluster, multus: Path) -> Iterator[int]:
    """The process that entered the node: the daemon is its child, and nobody's of the node."""
    machine, _ = cluster.node
    state = machine.run / Path(_STATE).name
    for directory in ("net.d", "auto.d"):
        (state / directory).mkdir(parents=True, exist_ok=True)
    # The cluster's own network, of which every runtime has one: the least that there is.
    own = {"cniVersion": "1.0.0", "name": "lo", "type": "loopback"}
    shared = {
        "cniVersion": "1.0.0",
        "binDir": str(cluster.plugins),
        "cniDir": f"{_STATE}/multus",
        "logLevel": "error",
        "logToStderr": True,
    }
    shim = {
        **shared,
        "name": "multus",
        "type": "multus-shim",
        "daemonSocketDir": f"{_STATE}/socket",
        "delegates": [own],
    }
    (state / "shim.json").write_text(json.dumps(shim))
    daemon = {
        **shared,
        "socketDir": f"{_STATE}/socket",
        # Without this it ends at once: what it makes of the network there isn't used.
        "multusConfigFile": "auto",
        "multusAutoconfigDir": f"{_STATE}/auto.d",
        "cniConfigDir": f"{_STATE}/net.d",
    }
    (state / "auto.d" / "10-lo.conf").write_text(json.dumps(own))
    (state / "daemon.json").write_text(json.dumps(daemon))
    _hand_credentials(cluster)
    environment = [
        f"KUBERNETES_SERVICE_HOST={CONTROL_PLANE_V4}",
        f"KUBERNETES_SERVICE_PORT={API_PORT}",
        f"MULTUS_NODE_NAME={machine.host_name}",
    ]
    command = ["env", *environment, str(multus / DAEMON), f"-config={_STATE}/daemon.json"]
    log = machine.logs / "multus-daemon.log"
    with log.open("wb") as out:
        running = subprocess.Popen(
            cluster.inside(command), stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    try:
        _await(running, state / "socket" / "multus.sock", log)
        yield running.pid
    finally:
        for pid in memory.descendants(running.pid):
            os.kill(pid, signal.SIGTERM)
        running.wait(_UP_SECONDS)


def _hand_credentials(cluster: BenchCluster) -> None:
    """Where a pod finds them: the daemon knows no other way."""
    machine, _ = cluster.node
    # /var/run is /run there.
    secrets = machine.run / "secrets" / "kubernetes.io" / "serviceaccount"
    secrets.mkdir(parents=True, exist_ok=True)
    token = cluster.kubectl("create", "token", "multus", "--namespace=kube-system")
    (secrets / "token").write_text(token.strip())
    (secrets / "ca.crt").write_text(cluster.authority.read_text())


def _await(running: subprocess.Popen[bytes], socket: Path, log: Path) -> None:
    until = time.monotonic() + _UP_SECONDS
    while not socket.exists():
        if running.poll() is not None or time.monotonic() > until:
            said = log.read_text(errors="replace").strip()[-500:]
            raise ClusterError(f"start Multus thick: {said or 'it says nothing'}")
        time.sleep(0.1)


def _call_all(cluster: BenchCluster, multus: Path, command: str) -> tuple[float, list[str]]:
    """Seconds, and what each said that failed."""
    words = {
        "command": command,
        "plugins": cluster.plugins,
        "state": _STATE,
        "shim": multus / "multus-shim",
        "last": storm.PODS - 1,
    }
    given = "".join(f"{name}={value}\n" for name, value in words.items())
    begin = time.monotonic()
    said = _shell(cluster, given + _CALL_ALL)
    return time.monotonic() - begin, said.splitlines()


def _shell(cluster: BenchCluster, script: str) -> str:
    return run(cluster.inside(["sh", "-s"]), stdin=script, timeout=_CALLS_SECONDS).stdout
