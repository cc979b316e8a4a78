"""What breaks around pods with networks, on the real thing; what ran goes on, what waited comes, and
nothing is leaked."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from e2elib.checks import assert_clean
from e2elib.cluster import AGENT_SOCKET, Cluster, condition
from e2elib.objects import interface, node_condition, network, vxlan, wait_served
from e2elib.places import attached, sandboxes
from e2elib.pods import pod
from e2elib.traffic import Bystanders

TUNNEL, BRIDGE = "faults-vxlan", "faults-bridge"
BOTH = f"{TUNNEL}, {BRIDGE}"
MANIFESTS = "/var/lib/kubelet/manifests"
STATE = "/var/lib/multinet"


@pytest.fixture(scope="module")
def networks(deployed: Cluster) -> Iterator[Cluster]:
    deployed.apply(vxlan(TUNNEL, "10.81.0.0/16", "fd00:81::/64", join="Always"))
    deployed.apply(network(BRIDGE, "10.82.0.0/24"))
    wait_served(deployed, TUNNEL, BRIDGE)
    yield deployed
    deployed.kubectl("delete", "podnetwork", TUNNEL, BRIDGE, "--timeout=50s")


@pytest.fixture
def bystanders(networks: Cluster, namespace: str) -> Iterator[Bystanders]:
    """Pods that talk over the tunnel all the time; that they never stopped is part of each test."""
    made = Bystanders(networks, namespace, TUNNEL)
    made.start()
    yield made
    made.assert_undisturbed()
    assert_clean(networks)


@contextmanager
def cut_path(cluster: Cluster) -> Iterator[None]:
    """The wire of the first node carries no datagram of more than 1,400 bytes, and says nothing.
    TCP passes: who writes to the API server from there would wait for as long."""
    big = "ip protocol udp meta length > 1400 drop"
    rules = f"iifname n1-eth0 {big}; oifname n1-eth0 {big};"
    chain = f"chain forward {{ type filter hook forward priority 0; {rules} }}"
    cluster.node_exec("cp", "nft", f"table bridge cut {{ {chain}; }}")
    try:
        yield
    finally:
        cluster.node_exec("cp", "nft", "delete", "table", "bridge", "cut")


def test_a_path_mtu_that_is_cut_is_found_and_its_repair_too(networks: Cluster) -> None:
    first, second = networks.nodes[:2]

    def both(status: str, reason: str) -> bool:
        for node in (first, second):
            ready = node_condition(networks, node, TUNNEL)
            assert (ready["status"], ready["reason"]) == (status, reason), ready
        return True

    with cut_path(networks):
        begin = time.monotonic()
        networks.wait(lambda: both("False", "PathMTUTooSmall"), 10, "the cut to be found")
        found = time.monotonic() - begin
        message = node_condition(networks, first, TUNNEL)["message"]
        assert second in message, message

        def degraded() -> bool:
            told = networks.json("podnetwork", TUNNEL)
            assert condition(told, "Degraded") == "True", told["status"]
            return True

        networks.wait(degraded, 10, "the network to be Degraded")
    begin = time.monotonic()
    networks.wait(lambda: both("True", "Ready"), 10, "the repair to be found")
    print(f"cut found in {found:.1f} s, repair in {time.monotonic() - begin:.1f} s")


def test_pods_wait_while_the_agent_is_away(
    networks: Cluster, bystanders: Bystanders, namespace: str
) -> None:
    node = networks.nodes[0]
    networks.stop(node, "agent")
    try:
        for name, request in (("asks", BOTH), ("plain", None)):
            networks.apply(pod(name, namespace, node=node, networks=request))
        for name in ("asks", "plain"):

            def tried(name: str = name) -> bool:
                return "FailedCreatePodSandBox" in networks.pod_story(name, namespace)

            networks.wait(tried, 30, f"the kubelet to try pod {name}")
            assert condition(networks.json("pod", name, namespace), "Ready") != "True"
        assert sandboxes(networks, node, namespace, "asks") == []
    finally:
        networks.start(node, "agent")
    for name in ("asks", "plain"):
        networks.wait_pod_ready(name, namespace)
    assert interface(networks, namespace, "asks", "net2")["podNetworkName"] == BRIDGE


def test_a_node_goes_on_without_the_api_server(
    networks: Cluster, bystanders: Bystanders, namespace: str
) -> None:
    """Sandboxes end, and new ones of known networks come, while nobody can be asked."""
    node = networks.nodes[0]
    networks.apply(pod("victim", namespace, node=node, networks=BOTH))
    networks.wait_pod_ready("victim", namespace)
    (before,) = sandboxes(networks, node, namespace, "victim")
    networks.stop("cp", "kube-apiserver")
    try:
        agent = f"--runtime-endpoint=unix://{AGENT_SOCKET}"
        networks.node_exec(node, "crictl", agent, "-t", "20s", "stopp", before)
        assert before not in sandboxes(networks, node, namespace, "victim")

        def again() -> bool:
            now = sandboxes(networks, node, namespace, "victim")
            assert len(now) == 1, now
            return now != [before] and attached(networks, node, now[0]) == ["net1", "net2"]

        networks.wait(again, 60, "the kubelet to make the sandbox again")
    finally:
        networks.start("cp", "kube-apiserver")
    networks.wait(lambda: networks.exists("pod", "victim", namespace), 60, "the API server")
    networks.wait_pod_ready("victim", namespace)


def test_a_runtime_that_dies_during_an_attach(
    networks: Cluster, bystanders: Bystanders, namespace: str
) -> None:
    node = networks.nodes[0]
    mark = networks.arm_agent(node, "sandbox.attach.before@1=delay:3000")
    networks.apply(pod("caught", namespace, node=node, networks=BOTH))
    networks.wait(
        lambda: sandboxes(networks, node, namespace, "caught"), 20, "the sandbox to be there"
    )
    assert " attached " not in networks.log(node, "agent")[mark:], "too late to die"
    networks.kill(node, "containerd")
    networks.wait_pod_ready("caught", namespace, timeout=60)


def static_pod(name: str, request: str | None) -> str:
    made = json.loads(pod(name, "default", networks=request))
    return json.dumps(made)


def test_a_static_pod_that_asks_is_refused_and_told_so(networks: Cluster) -> None:
    node = networks.nodes[0]
    files = [networks.node_file(node, f"{MANIFESTS}/{name}.json") for name in ("asks", "plain")]
    files[0].write_text(static_pod("static-asks", BRIDGE))
    files[1].write_text(static_pod("static-plain", None))
    try:
        networks.wait_pod_ready(f"static-plain-{node}", "default")

        def told() -> bool:
            story = networks.pod_story(f"static-asks-{node}", "default")
            assert "StaticPod" in story, story
            assert "run it as a DaemonSet" in story, story
            return True

        networks.wait(told, 40, "an Event that names the rule")
    finally:
        for file in files:
            file.unlink()
    for name in ("static-asks", "static-plain"):
        networks.wait(
            lambda name=name: not networks.exists("pod", f"{name}-{node}", "default"),
            40,
            f"mirror pod {name} to be gone",
        )


@contextmanager
def full_journal(cluster: Cluster, node: str) -> Iterator[None]:
    """The agent's state directory on a disk without a free byte."""
    cluster.stop(node, "agent")
    cluster.node_exec(node, "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", STATE)
    try:
        cluster.node_exec_try(node, "dd", "if=/dev/zero", f"of={STATE}/filler", "bs=4k")
        cluster.start(node, "agent")
        yield
    finally:
        cluster.node_exec(node, "umount", "--lazy", STATE)


def test_a_full_disk_holds_up_only_who_asks_for_networks(
    networks: Cluster, bystanders: Bystanders, namespace: str
) -> None:
    node = networks.nodes[1]
    with full_journal(networks, node):
        networks.apply(pod("plain", namespace, node=node))
        networks.apply(pod("asks", namespace, node=node, networks=BOTH))
        networks.wait_pod_ready("plain", namespace)

        def told() -> bool:
            story = networks.pod_story("asks", namespace)
            assert "JournalUnusable" in story or "journal" in story, story
            return True

        networks.wait(told, 30, "an Event that names the journal")
        networks.delete("pod", "plain", namespace, "--timeout=30s")
        bystanders.wait_traffic()
    networks.wait_pod_ready("asks", namespace, timeout=60)
