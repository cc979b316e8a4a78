"""What hangs is not what refuses: an API server and a runtime that are stopped by a signal, and hold
their connections open."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from e2elib.checks import assert_clean
from e2elib.cluster import AGENT_SOCKET, Cluster
from e2elib.freezing import frozen
from e2elib.networks import Networks
from e2elib.objects import interface, network
from e2elib.places import attached, sandboxes
from e2elib.pods import pod
from e2elib.traffic import identity

NAME = "stalls"
AGENT = f"--runtime-endpoint=unix://{AGENT_SOCKET}"
# What the agent knows of namespaces is older than it likes by then.
_STALE_SECONDS = 35
_CALL_SECONDS = 10


@pytest.fixture(scope="module", autouse=True)
def served(deployed: Cluster) -> Iterator[None]:
    networks = Networks(deployed)
    networks.add_served(network(NAME, "10.47.0.0/24"))
    yield
    networks.remove()


def test_a_node_goes_on_while_the_api_server_hangs(deployed: Cluster, namespace: str) -> None:
    """Sandboxes end, and new ones of known networks come, though nobody answers a question."""
    node = deployed.nodes[0]
    deployed.apply(pod("victim", namespace, node=node, networks=NAME))
    deployed.wait_pod_ready("victim", namespace)
    (before,) = sandboxes(deployed, node, namespace, "victim")
    with frozen(deployed, "cp", "kube-apiserver"):
        stale_at = time.monotonic() + _STALE_SECONDS
        deployed.wait(lambda: time.monotonic() > stale_at, _STALE_SECONDS + 5, "labels to be old")
        begin = time.monotonic()
        deployed.node_exec(node, "crictl", AGENT, "-t", "20s", "stopp", before)
        assert time.monotonic() - begin < _CALL_SECONDS

        def again() -> bool:
            now = sandboxes(deployed, node, namespace, "victim")
            assert len(now) == 1, now
            return now != [before] and attached(deployed, node, now[0]) == ["net1"]

        deployed.wait(again, 30, "the kubelet to make the sandbox again")
    deployed.wait(lambda: deployed.exists("pod", "victim", namespace), 60, "the API server")
    deployed.wait_pod_ready("victim", namespace, 60)
    assert_clean(deployed, 30)


def test_a_stop_that_was_given_up_leaves_a_pod_that_can_go_on(
    deployed: Cluster, namespace: str
) -> None:
    """The runtime hangs, the caller gives up, the runtime goes on: the pod was never stopped."""
    node = deployed.nodes[0]
    deployed.apply(pod("held", namespace, node=node, networks=NAME))
    deployed.wait_pod_ready("held", namespace)
    told = interface(deployed, namespace, "held", "net1")
    (sandbox,) = sandboxes(deployed, node, namespace, "held")
    with frozen(deployed, node, "containerd"):
        code, _, _ = deployed.node_exec_try(node, "crictl", AGENT, "-t", "2s", "stopp", sandbox)
        assert code != 0
    # A container that ends is started again in the sandbox that there is, or in a new one.
    before = identity(deployed, "held", namespace)
    deployed.pod_exec_try(namespace, "held", "kill", "-TERM", "1")

    def started() -> bool:
        return identity(deployed, "held", namespace)[0] != before[0]

    deployed.wait(started, 60, "the container to be started again")
    deployed.wait_pod_ready("held", namespace, 60)
    now = interface(deployed, namespace, "held", "net1")
    assert (now["ips"], now["mac"]) == (told["ips"], told["mac"])
    assert_clean(deployed, 30)


def test_a_runtime_that_is_slow_to_speak_is_waited_for(deployed: Cluster) -> None:
    """It accepts connections and says its first word late, as on a machine that is busy."""
    node = deployed.nodes[1]
    with frozen(deployed, node, "containerd"):
        late_at = time.monotonic() + 3
        deployed.kill(node, "agent")  # a fresh connection
        deployed.wait(lambda: time.monotonic() > late_at, 5, "three seconds of silence")
    begin = time.monotonic()
    deployed.node_exec(node, "crictl", AGENT, "-t", "10s", "version")
    assert time.monotonic() - begin < _CALL_SECONDS
