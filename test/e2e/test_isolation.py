"""A pod is held to its own MAC and addresses at the node's end of its link, by rules that it can't reach."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from e2elib import raw
from e2elib.cluster import Cluster
from e2elib.networks import Networks
from e2elib.objects import address, interface, macvlan, network, vxlan
from e2elib.places import switch
from e2elib.pods import pod
from e2elib.raw import Who

NAMESPACE = "isolation"
WIRED, MACVLAN = "isolation-wire", "isolation-macvlan"
TUNNEL, BRIDGE = "isolation-vxlan", "isolation-bridge"
_MODES = ("Enforced", "MACOnly", "Disabled")


@pytest.fixture(scope="module")
def pods(deployed: Cluster) -> Iterator[Cluster]:
    """`thief` and `near` on one node, `far` on the other, all on a tunnel."""
    networks = Networks(deployed)
    deployed.kubectl("create", "namespace", NAMESPACE)
    left, right = deployed.nodes
    try:
        networks.add_served(
            vxlan(TUNNEL, "10.111.0.0/24", "fd00:111::/64"), network(BRIDGE, "10.112.0.0/24")
        )
        for name, node in (("thief", left), ("near", left), ("far", right)):
            deployed.apply(pod(name, NAMESPACE, node=node, networks=f"{TUNNEL}, {BRIDGE}"))
        for name in ("thief", "near", "far"):
            deployed.wait_pod_ready(name, NAMESPACE)
        yield deployed
    finally:
        deployed.kubectl("delete", "namespace", NAMESPACE, "--timeout=55s")
        networks.remove()


def who(cluster: Cluster, name: str, namespace: str = NAMESPACE) -> Who:
    told = interface(cluster, namespace, name, "net1")
    node = cluster.json("pod", name, namespace)["spec"]["nodeName"]
    return Who(name, node, told["mac"], address(told), address(told, "IPv6"))


def secured(
    cluster: Cluster, name: str, link: str = "net1", namespace: str = NAMESPACE
) -> dict[str, Any]:
    conditions = interface(cluster, namespace, name, link)["conditions"]
    return dict(next((one for one in conditions if one["type"] == "PortSecured"), {}))


def set_mode(cluster: Cluster, mode: str) -> None:
    patch = json.dumps({"spec": {"portSecurity": mode}})
    cluster.kubectl("patch", "podnetwork", TUNNEL, "--type=merge", "-p", patch)

    def told() -> bool:
        return all(secured(cluster, name)["reason"] == mode for name in ("thief", "near", "far"))

    cluster.wait(told, 60, f"interfaces that say {mode}")


def test_every_interface_says_that_it_is_secured(pods: Cluster) -> None:
    for name in ("thief", "near", "far"):
        for link in ("net1", "net2"):
            told = secured(pods, name, link)
            assert (told["status"], told["reason"]) == ("True", "Enforced"), (name, link, told)


@pytest.mark.parametrize("way", [(), ("bypass",)], ids=["queue", "bypass"])
@pytest.mark.parametrize("victim, other", [("near", "far"), ("far", "near")])
def test_no_forged_frame_arrives_and_each_is_counted(
    pods: Cluster, victim: str, other: str, way: tuple[str, ...]
) -> None:
    thief = who(pods, "thief")
    forged = raw.forgeries(thief, who(pods, victim), who(pods, other))
    before = raw.drops(pods, thief.node)
    frames = list(forged.values())
    assert raw.heard(pods, NAMESPACE, thief, who(pods, victim), frames, *way) == 0
    after = raw.drops(pods, thief.node)
    grown = {reason: after(reason) - before(reason) for reason in forged}
    assert all(grown.values()), grown


def test_honest_pods_notice_nothing(pods: Cluster) -> None:
    for name in ("near", "far"):
        target = who(pods, name)
        for one in (target.v4, target.v6):
            pods.pod_run(NAMESPACE, "thief", "ping", "-c3", "-w10", one)


def test_a_mode_that_changes_holds_on_running_pods(pods: Cluster) -> None:
    thief, near = who(pods, "thief"), who(pods, "near")
    forged = raw.forgeries(thief, near, who(pods, "far"))
    passing = {
        "MACOnly": {"source_ipv4", "source_ipv6", "arp", "neighbour"},
        "Disabled": set(forged) - {"tunnel", "ethertype", "source_mac"},
        "Enforced": set(),
    }
    # What names the neighbour's MAC would teach the bridge, so it is left out where it passes.
    try:
        for mode, wanted in passing.items():
            set_mode(pods, mode)
            for reason in sorted(set(forged) - {"ethertype", "source_mac"}):
                got = raw.heard(pods, NAMESPACE, thief, near, [forged[reason]])
                assert got == (1 if reason in wanted else 0), f"{reason} with {mode}"
    finally:
        set_mode(pods, "Enforced")


def test_rules_that_somebody_flushes_come_back(pods: Cluster) -> None:
    thief, near = who(pods, "thief"), who(pods, "near")
    place = switch(pods, thief.node)

    def rules() -> int:
        return place.run("nft", "list", "table", "bridge", "multinet").count(thief.mac)

    assert rules() == 1
    place.run("nft", "flush", "ruleset")

    def back() -> bool:
        code, out, _ = pods.node_exec_try(
            thief.node,
            "nsenter",
            f"--net={place.netns}",
            "nft",
            "list",
            "table",
            "bridge",
            "multinet",
        )
        return code == 0 and thief.mac in out

    pods.wait(back, 40, "the rules of ports to come back")
    forged = raw.forgeries(thief, near, who(pods, "far"))
    assert raw.heard(pods, NAMESPACE, thief, near, list(forged.values())) == 0


def test_a_new_agent_takes_the_rules_over_as_they_are(pods: Cluster) -> None:
    thief = who(pods, "thief")
    place = switch(pods, thief.node)

    def table() -> dict[str, Any]:
        listed = json.loads(place.run("nft", "-j", "-s", "list", "table", "bridge", "multinet"))
        handles = {}
        for item in listed["nftables"]:
            ((kind, one),) = item.items()
            if kind in ("table", "chain", "rule", "set"):
                handles[f"{kind} {one.get('name', one.get('handle'))}"] = one["handle"]
        return handles

    before = table()
    pods.kill(thief.node, "agent")
    pods.wait_pod_ready("thief", NAMESPACE)
    told = secured(pods, "thief")
    assert (told["status"], told["reason"]) == ("True", "Enforced")
    for name in ("near", "far"):
        pods.pod_run(NAMESPACE, "thief", "ping", "-c1", "-w10", who(pods, name).v4)
    assert table() == before


@pytest.fixture(scope="module")
def on_a_wire(deployed: Cluster) -> Iterator[Cluster]:
    """`thief` and `near` on one node, `far` on the other, all on the same wire."""
    networks = Networks(deployed)
    deployed.kubectl("create", "namespace", WIRED)
    left, right = deployed.nodes
    try:
        networks.add_ready(macvlan(MACVLAN, "eth1", "10.114.0.0/24", "fd00:114::/64"))
        for name, node in (("thief", left), ("near", left), ("far", right)):
            deployed.apply(pod(name, WIRED, node=node, networks=MACVLAN))
        for name in ("thief", "near", "far"):
            deployed.wait_pod_ready(name, WIRED)
        yield deployed
    finally:
        deployed.kubectl("delete", "namespace", WIRED, "--timeout=55s")
        networks.remove()


@pytest.mark.parametrize("way", [(), ("bypass",)], ids=["queue", "bypass"])
@pytest.mark.parametrize("victim, other", [("near", "far"), ("far", "near")])
def test_no_forged_frame_arrives_on_a_macvlan(
    on_a_wire: Cluster, victim: str, other: str, way: tuple[str, ...]
) -> None:
    thief = who(on_a_wire, "thief", WIRED)
    receiver = who(on_a_wire, victim, WIRED)
    forged = raw.forgeries(thief, receiver, who(on_a_wire, other, WIRED))
    del forged["tunnel"]  # the cluster may have no tunnel now, so there is no port of one
    before = raw.drops(on_a_wire, thief.node)
    assert raw.heard(on_a_wire, WIRED, thief, receiver, list(forged.values()), *way) == 0

    # The pod's own rules are asked when the pod is looked at.
    def counted() -> bool:
        after = raw.drops(on_a_wire, thief.node)
        return all(after(reason) > before(reason) for reason in forged)

    on_a_wire.wait(counted, 60, f"drops of {sorted(forged)} to be counted")


def test_a_macvlan_says_where_it_is_held_and_serves(on_a_wire: Cluster) -> None:
    for name in ("thief", "near", "far"):
        told = secured(on_a_wire, name, namespace=WIRED)
        assert (told["status"], told["reason"]) == ("True", "Enforced"), (name, told)
        assert "eth1" in told["message"], told
    for name in ("near", "far"):
        target = who(on_a_wire, name, WIRED)
        for one in (target.v4, target.v6):
            on_a_wire.pod_run(WIRED, "thief", "ping", "-c3", "-w10", one)


def test_a_new_agent_takes_a_parents_rules_over(on_a_wire: Cluster) -> None:
    thief = who(on_a_wire, "thief", WIRED)

    def handles() -> list[int]:
        listed = json.loads(
            on_a_wire.node_exec(
                thief.node, "nft", "-j", "-s", "list", "table", "netdev", "multinet"
            )
        )
        return [item["rule"]["handle"] for item in listed["nftables"] if "rule" in item]

    before = handles()
    on_a_wire.kill(thief.node, "agent")
    on_a_wire.wait_pod_ready("thief", WIRED)
    on_a_wire.apply(pod("after", WIRED, node=thief.node, networks=MACVLAN))
    on_a_wire.wait_pod_ready("after", WIRED)  # the new agent serves
    assert handles() == before
    after = who(on_a_wire, "after", WIRED)
    macs = "nft list set netdev multinet macs".split()
    assert after.mac in on_a_wire.node_exec(thief.node, *macs)
    on_a_wire.delete("pod", "after", WIRED)
    on_a_wire.wait(
        lambda: after.mac not in on_a_wire.node_exec(thief.node, *macs),
        30,
        "the rules of the deleted pod to go",
    )


def test_a_deleted_pods_rules_go(pods: Cluster) -> None:
    left = pods.nodes[0]
    pods.apply(pod("leaves", NAMESPACE, node=left, networks=TUNNEL))
    pods.wait_pod_ready("leaves", NAMESPACE)
    leaves = who(pods, "leaves")
    place = switch(pods, left)
    assert leaves.mac in place.run("nft", "list", "set", "bridge", "multinet", "macs")
    pods.delete("pod", "leaves", NAMESPACE)
    pods.wait(
        lambda: leaves.mac not in place.run("nft", "list", "set", "bridge", "multinet", "macs"),
        30,
        "the rules of the deleted pod to go",
    )


def test_an_unknown_mode_is_refused(deployed: Cluster) -> None:
    code, _, err = deployed.apply_try(vxlan("isolation-typo", "10.113.0.0/24", portSecurity="Mac"))
    assert code != 0
    assert "spec.portSecurity" in err and all(mode in err for mode in _MODES), err
