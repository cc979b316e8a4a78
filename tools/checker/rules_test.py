"""Each rule of the checker finds what it is there for. Run: python3 -m pytest tools/checker."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from checker.facts import Block, Facts, Intent, Interface, InterfaceSet, Link, Pod, Sandbox  # noqa: E402
from checker.history import Event, duplicates, read  # noqa: E402
from checker.rules import check  # noqa: E402

NET1 = Interface("net1", "blue", ("10.20.0.65/16", "fd00:20::41/64"), "0a:58:0a:14:00:41")


def healthy() -> Facts:
    """One pod on n1 with one interface, seen alike by all."""
    return Facts(
        pods=[Pod("u1", "default", "web", "n1", "blue", True, ("10.91.1.2",))],
        sets=[InterfaceSet("default", "web-u1", "web", "u1", "n1", (NET1,))],
        blocks=[Block("blue-v4-0a140040-26", "n1"), Block(f"blue-v6-fd000020{0:024x}-122", "n1"),
                Block(f"blue-v6-fd000020{0x40:024x}-122", "n1")],
        links=[Link("n1", "/run/netns/a", "net1", NET1.mac, "i1", "net1", NET1.addresses),
               Link("n1", "", "mnh1", "", "i1", "net1", ())],
        intents=[Intent("n1", "i1", "u1", "default/web", "s1", "ATTACHED", (NET1,))],
        sandboxes=[Sandbox("n1", "s1", "u1", True, "/run/netns/a")],
    )  # fmt: skip


def rules(facts: Facts) -> set[str]:
    return {finding.rule for finding in check(facts)}


def test_a_healthy_cluster_has_no_findings() -> None:
    assert check(healthy()) == []
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
        ({"mac": "0a:58:00:00:00:01"}, "wrong-mac"),
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


def test_two_links_of_one_interface_are_found() -> None:
    facts = healthy()
    facts.links.append(facts.links[0])
    assert rules(facts) == {"interface-count"}


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
    assert rules(facts) == {"pod-without-networks", "set-count"}


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
    wrong = replace(NET1, addresses=("10.20.0.66/16",))
    facts.sets[0] = replace(facts.sets[0], interfaces=(wrong,))
    assert rules(facts) == {"wrong-set"}


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
    events = [Event(3, f"{blocks}blue-v4-0a140040-26", {}), Event(4, f"{blocks}blue-v4-0a140060-27", {})]
    assert [f.rule for f in duplicates(events)] == ["overlapping-blocks-in-history"]
    events.insert(1, gone(4, events[0].key))
    assert duplicates(events) == []


def test_the_history_is_read_without_a_key_that_an_api_server_would_meet() -> None:
    ranges = []

    def run(command: Sequence[str]) -> str:
        ranges.append(command[-3:])
        return "1"

    assert read(run) == []
    assert [prefix for prefix, _, _ in ranges] == ["/registry/multinet.dev/", "/registry/pods/"]
    for prefix, mark, end in ranges:
        assert not mark.startswith(prefix)
        assert prefix < mark < end
