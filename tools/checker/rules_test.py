"""Each rule of the checker finds what it is there for. Run: python3 -m pytest tools/checker."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from checker import maps, stored  # noqa: E402
from checker.facts import (  # noqa: E402
    Block,
    Device,
    Endpoint,
    Facts,
    Intent,
    Interface,
    InterfaceSet,
    Link,
    Network,
    Pod,
    Sandbox,
    Service,
    Slice,
)
from checker.history import NETWORK, Event, duplicates, endpoints, read  # noqa: E402
from checker.rules import check  # noqa: E402

ADDRESSES = ("10.20.0.65/16", "fd00:20::41/64")
MAC = "0a:58:0a:14:00:41"
TOLD = Interface("net1", "blue", ADDRESSES, MAC, 1450, "Up", "VXLAN")
NET1 = replace(TOLD, state="", network_uid="b1", parent="mnb1", routes=("10.9.0.0/24",))
ROUTES = frozenset(("10.20.0.0/16", "fd00:20::/64", "10.9.0.0/24"))
SWITCH = "/run/multinet/switch"


def healthy() -> Facts:
    """One pod on n1 with one interface, seen alike by all."""
    return Facts(
        pods=[Pod("u1", "default", "web", "n1", "blue", True, ("10.91.1.2",))],
        networks=[Network("blue", "b1", True, 4799)],
        sets=[InterfaceSet("default", "web-u1", "web", "u1", "n1", (TOLD,))],
        blocks=[Block("blue-v4-0a140040-26", "n1", "b1"),
                Block(f"blue-v6-fd000020{0:024x}-122", "n1", "b1"),
                Block(f"blue-v6-fd000020{0x40:024x}-122", "n1", "b1")],
        links=[Link("n1", "/run/netns/a", "net1", MAC, "i1", "net1", ADDRESSES, mtu=1450,
                    routes=ROUTES),
               Link("n1", SWITCH, "mnv1", "", "i1", "net1", (), master="mnb1")],
        devices=[Device("n1", SWITCH, "mnb1", "b1", "bridge", True),
                 Device("n1", SWITCH, "mnx1", "b1", "vxlan", True, "mnb1", 4799)],
        intents=[Intent("n1", "i1", "u1", "default/web", "s1", "ATTACHED", (NET1,))],
        sandboxes=[Sandbox("n1", "s1", "u1", True, "/run/netns/a")],
        guarded={"n1": {4799}},
        node_sets={"n1"},
        agents={"n1"},
    )  # fmt: skip


WEB = Endpoint("u1", "10.20.0.65", "n1", True, True, False)
FRONTEND = ("10.96.0.9", 80, "TCP")


def serving() -> Facts:
    """The same pod behind a service with a ClusterIP, which its node translates."""
    facts = healthy()
    labels = frozenset({("app", "web"), ("more", "x")})
    facts.pods[0] = replace(facts.pods[0], labels=labels)
    port = (("http", "TCP", 80),)
    facts.services = [
        Service("p1", "default", "web", "blue", frozenset({("app", "web")}), False, "c1",
                ("10.96.0.9",), ("IPv4",), port)
    ]  # fmt: skip
    facts.slices = [
        Slice("default", "web-1", "web", "p1", "multinet.dev", "IPv4", (WEB,),
              (("http", "TCP", 8080),))
    ]  # fmt: skip
    facts.maps = {"n1": {FRONTEND: frozenset({("10.20.0.65", 8080)})}}
    return facts


def in_the_nodes_namespace(facts: Facts) -> Facts:
    """The same where the agent keeps bridges and tunnels beside the node's own links."""
    facts.links = [replace(one, netns="") if not one.in_pod else one for one in facts.links]
    facts.devices = [replace(one, netns="") for one in facts.devices]
    return facts


def rules(facts: Facts) -> set[str]:
    return {finding.rule for finding in check(facts)}


def test_a_healthy_cluster_has_no_findings() -> None:
    assert check(healthy()) == []
    assert check(in_the_nodes_namespace(healthy())) == []
    assert check(Facts()) == []


def test_links_of_an_ended_intent_are_leaks() -> None:
    facts = healthy()
    facts.intents[0] = replace(facts.intents[0], state="DETACHED")
    assert [f.rule for f in check(facts)].count("leaked-link") == 2


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"addresses": NET1.addresses[:1]}, "missing-address"),
        ({"addresses": (*NET1.addresses, "10.20.0.9/16")}, "leaked-address"),
        ({"addresses": ()}, "missing-address"),
        ({"mac": "0a:58:00:00:00:01"}, "wrong-mac"),
        ({"mac": "0a:58:00:00:00:01"}, "untrue-set"),
        ({"mtu": 9000}, "wrong-mtu"),
        ({"mtu": 9000}, "untrue-set"),
        ({"up": False}, "link-down"),
        ({"up": False}, "untrue-set"),
        ({"carrier": False}, "untrue-set"),
        ({"routes": ROUTES - {"10.20.0.0/16"}}, "missing-route"),
        ({"routes": ROUTES - {"10.9.0.0/24"}}, "missing-route"),
        ({"name": "eth7"}, "wrong-name"),
        ({"netns": "/run/netns/b"}, "wrong-namespace"),
        ({"interface": "net2"}, "interface-count"),
        ({"interface": "net2"}, "surplus-interface"),
        ({"node": "n2"}, "leaked-link"),
    ],
)
def test_a_wrong_link_is_found(change: dict[str, object], rule: str) -> None:
    facts = healthy()
    facts.links[0] = replace(facts.links[0], **change)  # type: ignore[arg-type]
    assert rule in rules(facts)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"master": ""}, "end-out-of-bridge"),
        ({"master": "cni0"}, "end-out-of-bridge"),
        ({"up": False}, "link-down"),
        ({"interface": "net2"}, "end-count"),
        ({"netns": ""}, "healthy"),  # no bridge of the network is there: the planned one counts
    ],
)
def test_a_wrong_end_outside_of_the_pod_is_found(change: dict[str, object], rule: str) -> None:
    facts = healthy()
    facts.links[1] = replace(facts.links[1], **change)  # type: ignore[arg-type]
    assert rules(facts) == ({rule} if rule != "healthy" else set())


def test_an_end_that_is_gone_is_found_where_there_should_be_one() -> None:
    facts = healthy()
    facts.links.pop()
    assert rules(facts) == {"end-count"}
    facts.intents[0] = replace(facts.intents[0], interfaces=(replace(NET1, type="Macvlan"),))
    assert rules(facts) == set()


def test_a_link_that_lost_its_carrier_and_says_so_is_fine() -> None:
    facts = healthy()
    facts.links[0] = replace(facts.links[0], carrier=False)
    facts.sets[0] = replace(facts.sets[0], interfaces=(replace(TOLD, state="Down"),))
    assert rules(facts) == set()


def with_a_second_pod(mac: str, addresses: tuple[str, ...]) -> Facts:
    """On n2, of the same network, with these in the kernel; the journals know nothing of a clash."""
    facts = healthy()
    other = replace(NET1, addresses=(), mac="", routes=())
    facts.pods.append(Pod("u2", "default", "db", "n2", "", True, ()))
    facts.intents.append(Intent("n2", "i2", "u2", "default/db", "s2", "ATTACHED", (other,)))
    facts.sandboxes.append(Sandbox("n2", "s2", "u2", True, "/run/netns/b"))
    facts.links.append(Link("n2", "/run/netns/b", "net1", mac, "i2", "net1", addresses, mtu=1450))
    facts.links.append(replace(facts.links[1], node="n2", intent="i2"))
    return facts


def test_what_a_run_gave_back_before_it_began_may_be_anothers() -> None:
    """Its record stays while the runtime may still make its sandbox."""
    facts = healthy()
    given_up = Intent("n1", "i0", "u0", "default/was", "", "ROLLBACK", (NET1,))
    facts.intents.append(given_up)
    assert "duplicate-address" in rules(facts)
    facts.intents[-1] = replace(given_up, released=True)
    assert "duplicate-address" not in rules(facts)


def test_twins_on_two_nodes_are_found() -> None:
    other = "0a:58:0a:14:00:99"
    assert rules(with_a_second_pod(other, ())) == set()
    assert rules(with_a_second_pod(MAC, ())) == {"duplicate-mac"}
    assert "duplicate-address" in rules(with_a_second_pod(other, ADDRESSES[:1]))


@pytest.mark.parametrize(
    ("index", "change", "rule"),
    [
        (0, {"up": False}, "device-down"),
        (1, {"up": False}, "device-down"),
        (1, {"master": ""}, "tunnel-out-of-bridge"),
        (1, {"port": 4800}, "tunnel-without-guard"),
        (1, {"network_uid": "b9"}, "leaked-device"),
    ],
)
def test_a_wrong_device_is_found(index: int, change: dict[str, object], rule: str) -> None:
    facts = healthy()
    facts.devices[index] = replace(facts.devices[index], **change)  # type: ignore[arg-type]
    assert rules(facts) == {rule}


def test_guard_and_tunnel_go_together() -> None:
    facts = healthy()
    facts.guarded = {}
    assert rules(facts) == {"tunnel-without-guard"}
    facts.guarded = {"n1": {4799, 4800}}
    assert rules(facts) == {"guard-without-tunnel"}
    facts.networks.append(Network("red", "r1", True, 4800))
    assert rules(facts) == set()


def test_what_served_a_network_may_stay_while_pods_use_it() -> None:
    facts = healthy()
    facts.networks = []
    assert rules(facts) == set()
    facts.intents, facts.links, facts.sets, facts.pods = [], [], [], []
    assert rules(facts) == {"leaked-device", "leaked-block"}


def test_two_links_of_one_interface_are_found() -> None:
    facts = healthy()
    facts.links.append(facts.links[0])
    assert rules(facts) == {"interface-count"}
    facts.links[2] = facts.links[1]
    assert rules(facts) == {"end-count"}


def test_an_address_on_two_nodes_is_found() -> None:
    facts = healthy()
    facts.intents.append(replace(facts.intents[0], node="n2", id="i2", uid="u2", state="INTENT"))
    assert rules(facts) == {"duplicate-address"}


def test_the_same_address_on_another_network_is_fine() -> None:
    facts = healthy()
    other = replace(NET1, network="red")
    facts.intents.append(
        replace(facts.intents[0], node="n2", id="i2", uid="u2", state="INTENT", interfaces=(other,))
    )
    assert check(facts) == []


def test_a_ready_pod_without_its_networks_is_found() -> None:
    facts = healthy()
    facts.intents, facts.links, facts.sets = [], [], []
    assert rules(facts) == {"pod-without-networks", "set-count", "unknown-sandbox"}


def test_a_doubt_is_found() -> None:
    facts = healthy()
    facts.intents[0] = replace(facts.intents[0], doubted=True)
    assert rules(facts) == {"doubt"}


def test_a_node_without_its_report_is_found() -> None:
    facts = healthy()
    facts.node_sets = set()
    assert rules(facts) == {"missing-node-set"}
    facts.networks = [replace(facts.networks[0], ready=False)]
    assert rules(facts) == set()


def test_a_block_of_a_network_that_is_gone_is_found_where_its_node_lives() -> None:
    facts = healthy()
    facts.blocks += [
        Block("red-v4-0a000000-24", "n1", "r1"),
        Block("red-v4-0b000000-24", "n9", "r1"),
    ]
    (finding,) = check(facts)
    assert (finding.rule, "red-v4-0a000000-24" in finding.text) == ("leaked-block", True)


def test_a_secondary_address_in_the_pods_status_is_found() -> None:
    facts = healthy()
    facts.pods[0] = replace(facts.pods[0], addresses=("10.91.1.2", "10.20.0.65"))
    assert rules(facts) == {"address-in-status"}


def test_a_set_without_its_pod_is_found() -> None:
    facts = healthy()
    facts.pods[0] = replace(facts.pods[0], uid="u9", ready=False)
    assert rules(facts) == {"stale-set"}


def test_a_set_that_tells_something_else_is_found() -> None:
    facts = healthy()
    for wrong in ({"addresses": ("10.20.0.66/16",)}, {"mac": "0a:58:00:00:00:01"}, {"mtu": 1500}):
        told = replace(TOLD, **wrong)  # type: ignore[arg-type]
        facts.sets[0] = replace(facts.sets[0], interfaces=(told,))
        assert "wrong-set" in rules(facts)


def test_an_address_outside_the_nodes_blocks_is_found() -> None:
    facts = healthy()
    facts.blocks[0] = replace(facts.blocks[0], node="n2")
    assert rules(facts) == {"address-without-block"}


def test_overlapping_blocks_are_found_also_across_a_third() -> None:
    facts = healthy()
    for name in ("red-v4-0a000000-24", "red-v4-0a000010-29", "red-v4-0a000080-29"):
        facts.blocks.append(Block(name, "n2"))
    assert [f.rule for f in check(facts)] == ["overlapping-blocks"] * 2


def test_an_attached_intent_without_a_sandbox_is_found() -> None:
    facts = healthy()
    facts.sandboxes = []
    assert rules(facts) == {"lost-sandbox"}


def test_a_service_that_all_see_alike_has_no_findings() -> None:
    assert check(serving()) == []
    facts = serving()  # another node, on which the network isn't
    facts.maps["n2"] = {}
    assert check(facts) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"manager": "endpointslice-controller.k8s.io"}, {"foreign-slice", "missing-endpoint"}),
        ({"owner": "c0"}, {"leaked-slice", "missing-endpoint"}),
        ({"service": "other"}, {"leaked-slice", "missing-endpoint"}),
        ({"endpoints": ()}, {"missing-endpoint", "wrong-frontend"}),
        ({"endpoints": (WEB, WEB)}, {"untrue-endpoint"}),
        ({"endpoints": (WEB, replace(WEB, uid="u9"))}, {"untrue-endpoint"}),
        ({"endpoints": (replace(WEB, address="10.20.0.66"),)},
         {"untrue-endpoint", "missing-endpoint", "wrong-frontend"}),
        ({"endpoints": (replace(WEB, ready=False),)}, {"wrong-frontend"}),
        ({"ports": (("http", "TCP", 8081),)}, {"wrong-frontend"}),
    ],
)  # fmt: skip
def test_a_wrong_slice_is_found(change: dict[str, object], found: set[str]) -> None:
    facts = serving()
    facts.slices[0] = replace(facts.slices[0], **change)  # type: ignore[arg-type]
    assert rules(facts) - {"wrong-frontend"} == found - {"wrong-frontend"}
    assert ("wrong-frontend" in rules(facts)) >= ("wrong-frontend" in found)


def test_conditions_that_a_pod_forbids_are_found() -> None:
    facts = serving()
    facts.pods[0] = replace(facts.pods[0], ready=False)
    assert rules(facts) == {"wrong-condition"}
    facts.services[0] = replace(facts.services[0], published=True)
    assert rules(facts) == set()
    facts = serving()
    facts.pods[0] = replace(facts.pods[0], ready=False, deleting=True)
    ends = replace(WEB, ready=False, terminating=True)
    facts.slices[0] = replace(facts.slices[0], endpoints=(ends,))
    assert rules(facts) == set(), "the last one serves to its end"
    facts.slices[0] = replace(facts.slices[0], endpoints=(replace(ends, terminating=False),))
    assert "wrong-condition" in rules(facts)


@pytest.mark.parametrize(
    ("there", "found"),
    [
        ({}, "missing-frontend"),
        ({FRONTEND: frozenset()}, "wrong-frontend"),
        ({FRONTEND: frozenset({("10.20.0.65", 8080), ("10.20.0.66", 8080)})}, "wrong-frontend"),
        ({FRONTEND: frozenset({("10.20.0.65", 8080)}), ("10.96.0.7", 1, "TCP"): frozenset()},
         "leaked-frontend"),
    ],
)  # fmt: skip
def test_maps_that_lead_elsewhere_are_found(there: dict[object, object], found: str) -> None:
    facts = serving()
    facts.maps["n1"] = there  # type: ignore[assignment]
    assert rules(facts) == {found}


def test_maps_may_lead_to_those_that_are_hinted_for_the_node() -> None:
    facts = serving()
    hinted = replace(WEB, hinted=True)
    far = replace(hinted, uid="u2", address="10.20.0.77", node="n2")
    facts.slices[0] = replace(facts.slices[0], endpoints=(hinted, far))
    assert "wrong-frontend" not in rules(facts)
    facts.maps["n1"] = {FRONTEND: frozenset()}
    assert "wrong-frontend" in rules(facts)
    facts = serving()
    facts.services[0] = replace(facts.services[0], local=True)
    facts.slices[0] = replace(facts.slices[0], endpoints=(WEB, replace(far, hinted=False)))
    assert "wrong-frontend" not in rules(facts)


def test_maps_are_read_as_the_agent_writes_them() -> None:
    mapped = "00" * 10 + "ffff"
    frontend = mapped + "0a600009" + "0050" + "06" + "00"
    value = "00" * 8 + "07000000" + "01000000" + "00" * 8
    told = [[[frontend, value]], [["0700000000000000", mapped + "0a140041" + "1f90" + "0000"]]]
    assert maps.decode(json.dumps(told)) == serving().maps["n1"]
    assert maps.decode("null") is None


def named(revision: int, uid: str, address: str) -> Event:
    labels = {"endpointslice.kubernetes.io/managed-by": "multinet.dev", NETWORK: "blue"}
    body = {"labels": labels, "endpoints": [{"uid": uid, "addresses": [address]}]}
    return Event(revision, "/registry/endpointslices/default/web-1", body)


def owned(revision: int, name: str, uid: str, address: str) -> Event:
    event = held(revision, name, address)
    assert event.body is not None
    event.body["pod"]["uid"] = uid
    return event


def test_history_shows_slices_that_named_what_a_pod_did_not_have() -> None:
    first = owned(5, "a", "u1", "10.20.0.65/16")
    assert endpoints([first, named(6, "u1", "10.20.0.65")]) == []
    assert endpoints([first, gone(6, first.key), named(7, "u1", "10.20.0.65")]) == []
    (never,) = endpoints([named(4, "u1", "10.20.0.65"), first])
    assert "never had it, from revision 4" in never.text
    second = owned(8, "b", "u2", "10.20.0.65/16")
    (other,) = endpoints([first, second, named(9, "u1", "10.20.0.65")])
    assert "another has, from revision 9" in other.text


def test_slices_are_read_out_of_the_store() -> None:
    def field(number: int, value: bytes) -> bytes:
        return bytes([number << 3 | 2, len(value)]) + value

    label = field(11, field(1, b"app") + field(2, b"web"))
    pod = field(4, field(1, b"Pod") + field(4, b"u1"))
    endpoint = field(1, b"10.20.0.65") + field(2, b"\x08\x01") + pod
    raw = field(1, field(1, b"web-1") + label) + field(2, endpoint) + field(4, b"IPv4")
    data = b"k8s\0" + field(1, field(1, b"v1")) + field(2, raw)
    assert stored.slice_of(data) == {
        "labels": {"app": "web"},
        "endpoints": [{"uid": "u1", "addresses": ["10.20.0.65"]}],
    }
    assert stored.slice_of(b"{}") == {}


def held(revision: int, name: str, address: str) -> Event:
    body = {"pod": {"name": name}, "interfaces": [
        {"name": "net1", "podNetworkName": "blue", "ips": [{"address": address}]}]}  # fmt: skip
    return Event(revision, f"/registry/multinet.dev/podinterfacesets/default/{name}-1", body)


def gone(revision: int, key: str) -> Event:
    return Event(revision, key, None)


def test_history_shows_a_duplicate_that_is_over() -> None:
    first = held(5, "a", "10.20.0.65/16")
    events = [first, held(7, "b", "10.20.0.65/16"), gone(9, first.key)]
    (finding,) = duplicates(events)
    assert finding.rule == "duplicate-address-in-history"
    assert "revision 7" in finding.text


def test_history_lets_an_address_go_with_its_set_or_its_pod() -> None:
    first = held(5, "a", "10.20.0.65/16")
    assert duplicates([first, gone(6, first.key), held(7, "b", "10.20.0.65/16")]) == []
    pod = gone(6, "/registry/pods/default/a")
    assert duplicates([first, pod, held(7, "b", "10.20.0.65/16")]) == []


def test_history_shows_blocks_that_overlapped() -> None:
    blocks = "/registry/multinet.dev/ipblocks/"
    events = [
        Event(3, f"{blocks}blue-v4-0a140040-26", {}),
        Event(4, f"{blocks}blue-v4-0a140060-27", {}),
    ]
    assert [f.rule for f in duplicates(events)] == ["overlapping-blocks-in-history"]
    events.insert(1, gone(4, events[0].key))
    assert duplicates(events) == []


def test_the_history_is_read_without_a_key_that_an_api_server_would_meet() -> None:
    ranges = []

    def run(command: Sequence[str]) -> str:
        ranges.append(command[-3:])
        return "1"

    assert read(run) == []
    assert [prefix for prefix, _, _ in ranges] == [
        "/registry/multinet.dev/",
        "/registry/pods/",
        "/registry/endpointslices/",
    ]
    for prefix, mark, end in ranges:
        assert not mark.startswith(prefix)
        assert prefix < mark < end


def isolated(held: str, *names: str, netns: str = SWITCH) -> Facts:
    facts = healthy()
    told = replace(TOLD, held=held)
    facts.sets = [replace(facts.sets[0], interfaces=(told,))]
    facts.isolated = {("n1", netns): frozenset(names)}
    return facts


def test_a_held_interface_is_isolated_where_its_set_says() -> None:
    assert not check(isolated("Node", "mnv1"))
    assert not check(isolated("Pod", "net1", netns="/run/netns/a"))
    for facts in (isolated("Node"), isolated("Pod"), isolated("Pod", "mnv1")):
        assert [one.rule for one in check(facts)] == ["not-isolated"]


def test_rules_of_links_that_arent_there_are_leaked() -> None:
    assert [one.rule for one in check(isolated("Node", "mnv1", "mnv2"))] == ["leaked-rules"]
    assert [one.rule for one in check(isolated("", "eth0", netns=""))] == ["leaked-rules"]
