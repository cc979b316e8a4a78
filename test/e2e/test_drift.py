"""Somebody edits what the agent made: bridges, parent devices, links of pods. Within 30 seconds all is
as before, or, where nothing can be done, the pod isn't Ready and its set says why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from e2elib.checks import assert_clean
from e2elib.cluster import Cluster, condition
from e2elib.networks import Networks
from e2elib.objects import address, essence, interface, macvlan, network, vxlan
from e2elib.ping import Pinger
from e2elib.places import Place, node_place, pod_place, switch
from e2elib.pods import pod

NAMESPACE = "drift"
GATE = "multinet.dev/networks-ready"
OWN, TUNNEL, EXISTING, MACVLAN = "drift-own", "drift-vxlan", "drift-existing", "drift-macvlan"
BRIDGED = {OWN: "net1", TUNNEL: "net2", EXISTING: "net3"}
PARENT = "par0"
_SECONDS = 45  # 30 and what a busy machine adds


class Drift:
    """Pods of one node: `left` and `right` on all networks, and one on the tunnel for each edit."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.node = cluster.nodes[0]
        self.host = node_place(cluster, self.node)
        self.left = Pinger(cluster, NAMESPACE, "left")
        self.right = Pinger(cluster, NAMESPACE, "right")

    def told(self, name: str, link: str) -> dict:
        return interface(self.cluster, NAMESPACE, name, link)

    def place(self, name: str) -> Place:
        return pod_place(self.cluster, self.node, NAMESPACE, name)

    def ready(self, name: str, link: str) -> str:
        """The condition Ready of an interface, as its set tells it."""
        return condition({"status": self.told(name, link)}, "Ready")

    def pod_condition(self, name: str, kind: str) -> str:
        return condition(self.cluster.json("pod", name, NAMESPACE), kind)

    def given_up(self, name: str, link: str) -> bool:
        """The pod isn't Ready, and its set says that the interface isn't."""
        return (
            self.pod_condition(name, "Ready") == "False"
            and self.pod_condition(name, GATE) == "False"
            and self.ready(name, link) == "False"
        )


@dataclass(frozen=True)
class Edit:
    """What is done to a pod's net1 and to its other end."""

    name: str
    commands: tuple[str, ...]
    outside: bool = False  # to the other end, in the switch


EDITS = [
    Edit("renamed", ("link set net1 down", "link set net1 name mine", "link set mine up")),
    Edit("downed", ("link set net1 down",)),
    Edit("bare", ("address flush dev net1 scope global",)),
    Edit("shrunk", ("link set net1 mtu 1000",)),
    Edit("deleted", ("link del net1",)),
    Edit("unplugged", ("link set {} nomaster",), outside=True),
    Edit("muted", ("link set {} down",), outside=True),
    Edit("deaf", ("link set net1 arp off",)),
    # Nothing is flooded to it, and where it is nobody knows any more.
    Edit(
        "forgotten",
        ("link set {} type bridge_slave learning off flood off fdb_flush",),
        outside=True,
    ),
]


def make_parent(host: Place) -> None:
    host.ip("link", "add", PARENT, "type", "veth", "peer", "name", f"{PARENT}p")
    host.ip("link", "set", f"{PARENT}p", "up")
    host.ip("link", "set", PARENT, "up")


def make_bridge(host: Place) -> None:
    host.ip("link", "add", "br-x", "type", "bridge")
    host.ip("link", "set", "br-x", "up")


@pytest.fixture(scope="module")
def drift(deployed: Cluster) -> Iterator[Drift]:
    hosts = [node_place(deployed, node) for node in deployed.nodes]
    networks = Networks(deployed)
    deployed.kubectl("create", "namespace", NAMESPACE)
    try:
        for host in hosts:
            make_parent(host)
            make_bridge(host)
        networks.add_served(
            network(OWN, "10.40.1.0/24", bridge={"name": "br-drift"}),
            vxlan(TUNNEL, "10.40.2.0/24", "fd00:40:2::/64"),
            network(EXISTING, "10.40.3.0/24", bridge={"name": "br-x", "mode": "Existing"}),
            macvlan(MACVLAN, PARENT, "10.40.4.0/24"),
        )
        made = Drift(deployed)
        every = f"{OWN}, {TUNNEL}, {EXISTING}, {MACVLAN}"
        requests = {"left": every, "right": every} | {edit.name: TUNNEL for edit in EDITS}
        for name, request in requests.items():
            deployed.apply(pod(name, NAMESPACE, node=made.node, networks=request))
        for name in requests:
            deployed.wait_pod_ready(name, NAMESPACE, 60)
        yield made
    finally:
        deployed.kubectl("delete", "namespace", NAMESPACE, "--timeout=55s")
        networks.remove()
        for host in hosts:
            for name in (PARENT, "br-x"):
                host.cluster.node_exec_try(host.node, "ip", "link", "del", name)


@pytest.fixture(scope="module")
def remade(drift: Drift) -> None:
    """All bridges go at once; the one that isn't ours is made again by its owner."""
    for name, link in BRIDGED.items():
        drift.left.wait(address(drift.told("right", link)), 15)
    place = switch(drift.cluster, drift.node)
    for name in (OWN, TUNNEL):
        uid = drift.cluster.json("podnetwork", name)["metadata"]["uid"]
        place.ip("link", "del", place.by_alias(f"multinet-network:{uid}", "bridge"))
    drift.host.ip("link", "del", "br-x")
    make_bridge(drift.host)


@pytest.mark.parametrize("name", BRIDGED)
def test_pods_are_put_into_a_bridge_that_was_made_again(
    drift: Drift, remade: None, name: str
) -> None:
    drift.left.wait(address(drift.told("right", BRIDGED[name])), _SECONDS)


def test_a_parent_that_loses_its_carrier_is_told(drift: Drift) -> None:
    other_end = f"{PARENT}p"

    def told(state: str, ready: str) -> bool:
        has = drift.told("left", "net4")["linkState"], drift.ready("left", "net4")
        assert has == (state, ready), has
        return True

    assert told("Up", "True")
    drift.host.ip("link", "set", other_end, "down")
    drift.cluster.wait(lambda: told("Down", "False"), _SECONDS, "net4 to be told down")
    drift.host.ip("link", "set", other_end, "up")
    drift.cluster.wait(lambda: told("Up", "True"), _SECONDS, "net4 to be told up")
    drift.left.wait(address(drift.told("right", "net4")), 10)
    drift.cluster.wait_pod_ready("left", NAMESPACE)


def test_a_parent_that_goes_and_comes_back_is_no_silent_loss(drift: Drift) -> None:
    before = drift.told("right", "net4")
    drift.host.ip("link", "del", PARENT)
    make_parent(drift.host)

    def mended() -> bool:
        if drift.given_up("right", "net4"):
            return True
        assert drift.left.reaches(address(before)), f"Ready {drift.ready('right', 'net4')}"
        now = drift.told("right", "net4")
        return (now["ips"], now["mac"]) == (before["ips"], before["mac"])

    drift.cluster.wait(mended, _SECONDS, "net4 to be there again, or its loss to be told")


@pytest.fixture(scope="module")
def edited(drift: Drift) -> dict[str, dict]:
    """Every edit at once, each to a pod of its own; what the API told before."""
    before = {edit.name: drift.told(edit.name, "net1") for edit in EDITS}
    for told in before.values():
        drift.left.wait(address(told), 15)
    outside = switch(drift.cluster, drift.node)
    for edit in EDITS:
        place, name = drift.place(edit.name), "net1"
        if edit.outside:
            inside = place.link("net1")
            assert inside is not None
            place, name = outside, outside.by_alias(inside["ifalias"], "veth")
        for command in edit.commands:
            place.ip(*command.format(name).split())
    return before


@pytest.mark.parametrize("name", [edit.name for edit in EDITS])
def test_an_edited_interface_is_mended(drift: Drift, edited: dict[str, dict], name: str) -> None:
    before = edited[name]

    def mended() -> bool:
        link = drift.place(name).link("net1")
        if link is None and drift.given_up(name, "net1"):
            return True
        assert link is not None, f"no net1, Ready {drift.ready(name, 'net1')}"
        assert "UP" in link["flags"] and "NOARP" not in link["flags"], link
        assert (link["mtu"], link["address"]) == (before["mtu"], before["mac"]), link
        addresses = drift.place(name).ip("-o", "address", "show", "net1")
        for one in before["ips"]:
            assert f" {one['address']} " in addresses, addresses
        assert drift.left.reaches(address(before)), "no ping"
        now = drift.told(name, "net1")
        return essence(now) == essence(before) and drift.ready(name, "net1") == "True"

    drift.cluster.wait(mended, _SECONDS, f"pod {name} to be mended, or its loss to be told")
    if not drift.given_up(name, "net1"):
        drift.cluster.wait_pod_ready(name, NAMESPACE)


def test_in_the_end_all_agree(drift: Drift) -> None:
    assert_clean(drift.cluster, 40)
