"""The first law: the agent never hurts a pod that asked for nothing."""

from __future__ import annotations

import json
import time

import pytest
from e2elib.cluster import AGENT_SOCKET, RUNTIME_SOCKET, Cluster
from e2elib.pods import pod
from e2elib.traffic import identity

SERVE = "mkdir /w && hostname > /w/index.html && exec httpd -f -p 8080 -h /w"
_GAP_SECONDS = 3  # one second, and what a busy machine adds
STEADY = "; echo ready; trap 'exit 0' TERM; while :; do sleep 1; done"


def test_a_plain_pod_lives_through_the_agent(cluster: Cluster, namespace: str) -> None:
    first, second = cluster.nodes[:2]
    cluster.apply(pod("server", namespace, node=first, script=SERVE, labels={"app": "server"}))
    cluster.apply(pod("client", namespace, node=second, script="echo hello" + STEADY))
    cluster.kubectl("expose", "pod", "server", "-n", namespace, "--port=80", "--target-port=8080")
    server = cluster.wait_pod_ready("server", namespace)
    cluster.wait_pod_ready("client", namespace)

    assert "hello" in cluster.kubectl("logs", "-n", namespace, "client")
    assert cluster.pod_exec(namespace, "client", "hostname").strip() == "client"
    assert {6 if ":" in entry["ip"] else 4 for entry in server["status"]["podIPs"]} == {4, 6}

    def served() -> bool:
        url = f"http://server.{namespace}.svc.cluster.local/"
        return cluster.pod_exec(namespace, "client", "wget", "-q", "-O-", url).strip() == "server"

    cluster.wait(served, 15, "the service to answer by its DNS name")

    cluster.delete("pod", "server", namespace)
    sandboxes = json.loads(
        cluster.node_exec(first, "crictl", "pods", "--namespace", namespace, "-o", "json")
    )["items"]
    assert [entry["state"] for entry in sandboxes if entry["state"] == "SANDBOX_READY"] == []


def test_killing_the_agent_disturbs_no_pod(cluster: Cluster, namespace: str) -> None:
    node = cluster.nodes[0]
    cluster.apply(pod("before", namespace, node=node, script="echo up" + STEADY))
    cluster.wait_pod_ready("before", namespace)
    was = identity(cluster, "before", namespace)

    for round_number in range(3):
        cluster.kill(node, "agent")
        name = f"after-{round_number}"
        cluster.apply(pod(name, namespace, node=node))
        cluster.wait_pod_ready(name, namespace)

    assert identity(cluster, "before", namespace) == was
    assert cluster.pod_exec(namespace, "before", "echo", "still here").strip() == "still here"
    kubelet = cluster.component(node, "kubelet")
    assert kubelet["starts"] == 1, "the kubelet lived through it as well"


def test_pods_wait_for_a_stopped_agent(cluster: Cluster, namespace: str) -> None:
    node = cluster.nodes[0]
    cluster.apply(pod("before", namespace, node=node))
    cluster.wait_pod_ready("before", namespace)
    was = identity(cluster, "before", namespace)
    cluster.stop(node, "agent")
    try:
        cluster.apply(pod("waits", namespace, node=node))

        def bound() -> bool:
            return cluster.json("pod", "waits", namespace)["spec"].get("nodeName") == node

        cluster.wait(bound, 10, "the scheduler to place the pod")
        with pytest.raises(AssertionError, match="to be Ready: not within"):
            cluster.wait_pod_ready("waits", namespace, timeout=5)
    finally:
        cluster.start(node, "agent")
    cluster.wait_pod_ready("waits", namespace)
    assert identity(cluster, "before", namespace) == was


def test_the_runtime_looks_the_same_through_the_agent(cluster: Cluster, namespace: str) -> None:
    node = cluster.nodes[0]
    cluster.apply(pod("seen", namespace, node=node))
    cluster.wait_pod_ready("seen", namespace)

    def ask(socket: str, *command: str) -> str:
        return cluster.node_exec(node, "crictl", f"--runtime-endpoint=unix://{socket}", *command)

    for command in (("version",), ("pods", "-o", "json"), ("ps", "-a", "-o", "json")):
        assert ask(AGENT_SOCKET, *command) == ask(RUNTIME_SOCKET, *command), " ".join(command)

    through, direct = (json.loads(ask(s, "info")) for s in (AGENT_SOCKET, RUNTIME_SOCKET))
    assert without_ours(through) == without_ours(direct)

    (sandbox,) = json.loads(ask(RUNTIME_SOCKET, "pods", "--namespace", namespace, "-o", "json"))[
        "items"
    ]
    through, direct = (
        json.loads(ask(s, "inspectp", sandbox["id"])) for s in (AGENT_SOCKET, RUNTIME_SOCKET)
    )
    assert through["status"] == direct["status"]


def test_an_open_stream_doesnt_hold_up_a_replacement(cluster: Cluster) -> None:
    """A client that listens to container events must not keep the successor from answering."""
    node = cluster.nodes[0]
    where = f"--runtime-endpoint=unix://{AGENT_SOCKET}"
    listens = f"crictl {where} events >/run/events.log 2>&1 & echo $!"
    pid = cluster.node_exec(node, "sh", "-c", listens).strip()
    asks = ("crictl", where, "-t", "10s", "version")
    try:
        cluster.node_exec(node, *asks)  # the stream is older than this call
        begin = time.monotonic()
        cluster.kill(node, "agent", "SIGTERM")
        cluster.node_exec(node, *asks)
        took = time.monotonic() - begin
        assert took < _GAP_SECONDS, f"the successor answered after {took:.1f} s"
    finally:
        cluster.node_exec_try(node, "kill", pid)


def without_ours(info: dict[str, object]) -> dict[str, object]:
    """`crictl info` without what the agent adds, and without the time of the last CNI load."""
    kept = json.loads(json.dumps(info))
    kept["status"]["conditions"] = [
        entry for entry in kept["status"]["conditions"] if entry["type"] != "MultiNetworkReady"
    ]
    kept.pop("multinet", None)
    return {key: kept[key] for key in sorted(kept)}


def test_calls_come_through_while_the_agent_is_replaced(cluster: Cluster) -> None:
    """The listening socket outlives the process: no connection is refused."""
    node = cluster.nodes[1]
    script = (
        "for i in 1 2 3 4 5 6 7 8; do "
        f"crictl --runtime-endpoint=unix://{AGENT_SOCKET} -t 10s version || exit 1; done"
    )
    before = cluster.component(node, "agent")["starts"]
    cluster.kill(node, "agent", "SIGTERM")
    code, out, err = cluster.node_exec_try(node, "sh", "-c", script)
    assert code == 0, err
    assert out.count("RuntimeName:  containerd") == 8
    assert cluster.component(node, "agent")["starts"] == before + 1
