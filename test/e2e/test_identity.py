"""A pod is who its set says: the same address and MAC when its sandbox is made again, known to its
neighbours at once; each interface answers for itself, and by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from e2elib.cluster import Cluster
from e2elib.networks import Networks
from e2elib.objects import address, interface, macvlan, vxlan
from e2elib.ping import Pinger
from e2elib.pods import pod

NAMESPACE = "identity"
FAMILIES = ("IPv4", "IPv6")
MAC = re.compile(r"\[((?:[0-9a-f]{2}:){5}[0-9a-f]{2})\]", re.IGNORECASE)
ROUTER, BEYOND = "192.168.42.1", "198.51.100.42"
WIRE, OTHER, TUNNEL = "identity-wire", "identity-other", "identity-vxlan"


@pytest.fixture(scope="module")
def pods(deployed: Cluster) -> Iterator[Cluster]:
    """`asks` on one node, `answers` on the other, both on a tunnel and on two networks of one wire."""
    networks = Networks(deployed)
    deployed.kubectl("create", "namespace", NAMESPACE)
    for one in (f"{ROUTER}/24", f"{BEYOND}/32"):
        deployed.node_exec("cp", "ip", "address", "add", one, "dev", "lan1")
    subnets = [
        {"cidr": "192.168.42.0/24", "gateway": ROUTER, "exclude": ["192.168.42.0/28"]},
        {"cidr": "fd00:42:1::/64"},
    ]
    try:
        networks.add_served(
            vxlan(TUNNEL, "10.42.1.0/24", "fd00:42::/64"),
            macvlan(WIRE, "eth1", ipam={"subnets": subnets}),
            macvlan(OTHER, "eth1", "192.168.43.0/24"),
        )
        shared = {"shareProcessNamespace": True}  # so that the pod can end its own sandbox
        request = f"{TUNNEL}, {WIRE}, {OTHER}"
        for name, node in zip(("asks", "answers"), deployed.nodes, strict=True):
            deployed.apply(pod(name, NAMESPACE, node=node, networks=request, spec=shared))
        for name in ("asks", "answers"):
            deployed.wait_pod_ready(name, NAMESPACE)
        yield deployed
    finally:
        deployed.kubectl("delete", "namespace", NAMESPACE, "--timeout=55s")
        networks.remove()
        for one in (f"{ROUTER}/24", f"{BEYOND}/32"):
            deployed.node_exec("cp", "ip", "address", "del", one, "dev", "lan1")


def test_only_the_interface_that_has_an_address_answers_for_it(pods: Cluster) -> None:
    told = interface(pods, NAMESPACE, "answers", "net2")
    target = address(told)
    said = pods.pod_exec(NAMESPACE, "asks", "arping", "-b", "-c5", "-I", "net2", target)
    assert {found.lower() for found in MAC.findall(said)} == {told["mac"]}, said
    pods.pod_exec(NAMESPACE, "asks", "ip", "neigh", "flush", "dev", "net2")
    pods.pod_exec(NAMESPACE, "asks", "ping", "-c1", "-w5", target)
    entry = pods.pod_exec(NAMESPACE, "asks", "ip", "neigh", "show", target)
    assert told["mac"] in entry


def test_asked_on_an_interface_answered_by_it(pods: Cluster) -> None:
    """A client beyond the network's router, while the pod's own default route is eth0's."""
    told = interface(pods, NAMESPACE, "answers", "net2")

    def device(*more: str) -> str:
        words = pods.pod_exec(NAMESPACE, "answers", "ip", "route", "get", BEYOND, *more).split()
        return words[words.index("dev") + 1]

    assert device("from", address(told)) == "net2"
    assert device() == "eth0"
    pods.node_exec("cp", "ping", "-c2", "-w5", "-I", BEYOND, address(told))


def sandbox_made_again(cluster: Cluster, name: str) -> None:
    """Ends a pod's pause process: same pod, new sandbox."""

    def restarts() -> int:
        status = cluster.json("pod", name, NAMESPACE)["status"]
        return int(status["containerStatuses"][0]["restartCount"])

    before = restarts()
    cluster.pod_exec_try(NAMESPACE, name, "kill", "-TERM", "1")
    cluster.wait(lambda: restarts() > before, 60, f"a new sandbox of {name}")
    cluster.wait_pod_ready(name, NAMESPACE, 60)


def test_a_sandbox_made_again_is_reached_at_once(pods: Cluster) -> None:
    before = [interface(pods, NAMESPACE, "answers", name) for name in ("net1", "net2")]
    targets = [address(told, family) for told in before for family in FAMILIES]
    asks = Pinger(pods, NAMESPACE, "asks")
    for target in targets:
        asks.wait(target, 15)
    assert [one.lost for one in asks.burst(*targets, number=3)] == [0] * len(targets)

    sandbox_made_again(pods, "answers")
    counted = asks.burst(*targets)
    after = [interface(pods, NAMESPACE, "answers", name) for name in ("net1", "net2")]
    assert [(one["ips"], one["mac"]) for one in after] == [
        (one["ips"], one["mac"]) for one in before
    ]
    lost = {target: one.lost for target, one in zip(targets, counted, strict=True)}
    assert max(lost.values()) <= 1, f"of {counted[0].sent} pings each: lost {lost}"
