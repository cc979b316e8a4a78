"""Policies of the cluster on named networks: tiers before and after what namespaces say, on VXLAN and Macvlan,
both families; and pods of namespaces that are made after the policy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2elib.cluster import Cluster
from e2elib.networks import Networks
from e2elib.objects import cluster_policy, interface, macvlan, policy, vxlan
from e2elib.oracle import table
from e2elib.pods import pod
from e2elib.probing import Prober, Who, packets, probing
from e2elib.waiting import wait_until

TUNNEL, LAN = "tiers-vxlan", "tiers-macvlan"
SHOP, GUEST = "tiers-shop", "tiers-guest"
PODS = ((SHOP, "web", 0), (SHOP, "db", 1), (GUEST, "web", 1), (GUEST, "db", 0))
FOLLOWED_WITHIN = 60.0  # mostly a second
POLICIES = "clusterpodnetworkpolicies"
Allows = Callable[[Who, Who, str, int], bool]  # whom from, whom to, protocol, port


def of_team(name: str) -> dict[str, Any]:
    return {"matchLabels": {"team": name}}


def named(namespace: str, name: str) -> dict[str, Any]:
    pods = {"namespaceSelector": of_team(namespace), "podSelector": {"matchLabels": {"app": name}}}
    return {"pods": pods}


def by_tcp(port: int) -> list[dict[str, Any]]:
    return [{"tcp": {"destinationPort": {"number": port}}}]


@pytest.fixture(scope="module")
def pods(deployed: Cluster) -> Iterator[Cluster]:
    networks = Networks(deployed)
    for namespace in (SHOP, GUEST):
        deployed.kubectl("create", "namespace", namespace)
        deployed.kubectl("label", "namespace", namespace, f"team={namespace}")
    try:
        networks.add_served(
            vxlan(TUNNEL, "10.127.0.0/24", "fd00:127::/64"),
            macvlan(LAN, "eth1", "10.128.0.0/24", "fd00:128::/64"),
        )
        for namespace, name, node in PODS:
            labels = {"app": name}
            where = deployed.nodes[node]
            deployed.apply(
                pod(name, namespace, node=where, networks=f"{TUNNEL}, {LAN}", labels=labels)
            )
        for namespace, name, _ in PODS:
            deployed.wait_pod_ready(name, namespace)
        yield deployed
    finally:
        for namespace in (SHOP, GUEST):
            deployed.kubectl("delete", "namespace", namespace, "--timeout=55s")
        networks.remove()


@pytest.fixture(scope="module")
def prober(pods: Cluster) -> Iterator[Prober]:
    with probing(pods, PODS) as made:
        yield made


@pytest.fixture
def clean(pods: Cluster) -> Iterator[Cluster]:
    yield pods
    pods.kubectl("delete", POLICIES, "--all")
    pods.kubectl("delete", "podnetworkpolicies", "--all", "-n", SHOP)


def expect(cluster: Cluster, programs: Path, prober: Prober, allows: Allows) -> None:
    """All pairs by TCP, UDP and SCTP; and a person is told the same."""
    asked = packets(prober.addresses)

    def may(one: Any) -> bool:
        return one.source == one.target or allows(one.source, one.target, one.protocol, one.port)

    prober.settle(asked, may, "what policies say")
    pods = [(namespace, name) for namespace, name, _ in PODS]
    for network in (TUNNEL, LAN):
        for (source, target), yes in table(cluster, programs, network, pods, "TCP", 80).items():
            wanted = source == target or allows(source, target, "TCP", 80)
            assert yes == wanted, f"policy table of {network}: {source} to {target}"


def wait_enforced(cluster: Cluster, name: str) -> None:
    def held() -> bool:
        one = cluster.json(POLICIES, name)
        conditions = {entry["type"]: entry for entry in one["status"]["conditions"]}
        generation = one["metadata"]["generation"]
        return all(
            conditions[kind]["status"] == "True"
            and conditions[kind]["observedGeneration"] == generation
            for kind in ("Accepted", "PeersResolved", "Enforced")
        )

    cluster.wait(held, FOLLOWED_WITHIN, f"{name} to be Enforced")


def guard(name: str, **spec: Any) -> str:
    subject = {"namespaces": of_team(SHOP)}
    return cluster_policy(name, TUNNEL, LAN, **({"subject": subject} | spec))


@pytest.mark.parametrize("link", ["net1", "net2"])
def test_an_address_of_the_link_is_no_way_around(clean: Cluster, prober: Prober, link: str) -> None:
    source, target = (GUEST, "web"), (SHOP, "web")
    wait_until(
        lambda: prober.reaches_by_link(source, target, link, 80), FOLLOWED_WITHIN, "it to be open"
    )
    clean.apply(guard("link", ingress=[{"action": "Deny", "from": [{"namespaces": {}}]}]))
    wait_enforced(clean, "link")
    assert not prober.reaches_by_link(source, target, link, 80)
    clean.kubectl("delete", POLICIES, "link")
    clean.apply(
        cluster_policy(
            *("out", TUNNEL, LAN),
            subject={"namespaces": of_team(GUEST)},
            ingress=None,
            egress=[{"action": "Deny", "to": [{"namespaces": of_team(SHOP)}]}],
        )
    )
    wait_enforced(clean, "out")
    assert not prober.reaches_by_link(source, target, link, 80)


def test_tiers_are_asked_in_turn(clean: Cluster, programs: Path, prober: Prober) -> None:
    """Baseline, then a namespace's word in its place, then an admin's before both."""
    everybody = [{"namespaces": {}}]
    deny_all = [{"name": "nobody", "action": "Deny", "from": everybody}]
    clean.apply(guard("base", tier="Baseline", ingress=deny_all))
    wait_enforced(clean, "base")
    expect(clean, programs, prober, lambda source, target, *_: target[0] != SHOP)

    opened = [{"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}]}]
    clean.apply(policy("open", SHOP, TUNNEL, LAN, podSelector={}, ingress=opened))
    expect(
        clean,
        programs,
        prober,
        lambda source, target, *_: target[0] != SHOP or source[1] == "web",
    )

    rules = [
        {"action": "Accept", "from": [named(GUEST, "db")], "protocols": by_tcp(80)},
        {"action": "Pass", "from": [named(GUEST, "web")], "protocols": by_tcp(81)},
        {"action": "Deny", "from": [{"namespaces": of_team(GUEST)}]},
    ]
    clean.apply(guard("admin", priority=20, ingress=rules))
    wait_enforced(clean, "admin")

    def admins(source: Who, target: Who, protocol: str, port: int) -> bool:
        if target[0] != SHOP:
            return True
        if source[0] == SHOP:
            return source[1] == "web"
        by = {"db": ("TCP", 80), "web": ("TCP", 81)}
        return (protocol, port) == by[source[1]]

    expect(clean, programs, prober, admins)

    # One before it, on what its pods send: the first that says something counts.
    sent = [{"action": "Deny", "to": [named(SHOP, "web")], "protocols": by_tcp(80)}]
    subject = {"namespaces": of_team(GUEST)}
    clean.apply(guard("first", priority=10, subject=subject, ingress=None, egress=sent))
    wait_enforced(clean, "first")
    expect(
        clean,
        programs,
        prober,
        lambda source, target, protocol, port: admins(source, target, protocol, port)
        and not (
            source[0] == GUEST and target == (SHOP, "web") and (protocol, port) == ("TCP", 80)
        ),
    )
    clean.delete(POLICIES, "admin")
    clean.delete(POLICIES, "first")
    clean.delete("podnetworkpolicy", "open", SHOP)
    expect(clean, programs, prober, lambda source, target, *_: target[0] != SHOP)


def test_a_namespace_that_is_labelled_is_held(
    clean: Cluster, programs: Path, prober: Prober
) -> None:
    deny = [{"action": "Deny", "from": [{"namespaces": of_team(GUEST)}]}]
    clean.apply(
        guard("guests", subject={"namespaces": {"matchLabels": {"held": "yes"}}}, ingress=deny)
    )
    expect(clean, programs, prober, lambda *_: True)
    clean.kubectl("label", "namespace", SHOP, "held=yes")
    try:
        expect(
            clean,
            programs,
            prober,
            lambda source, target, *_: target[0] != SHOP or source[0] == SHOP,
        )
    finally:
        clean.kubectl("label", "namespace", SHOP, "held-")
    expect(clean, programs, prober, lambda *_: True)


def test_the_first_pod_of_a_new_namespace_is_held(clean: Cluster) -> None:
    """Made in one breath with its namespace, while nodes were told nothing of it."""
    made = "tiers-new"
    deny = [{"action": "Deny", "from": [{"namespaces": {}}]}]
    clean.apply(guard("new", subject={"namespaces": of_team(made)}, ingress=deny))
    space = {"apiVersion": "v1", "kind": "Namespace"}
    space["metadata"] = {"name": made, "labels": {"team": made}}  # type: ignore[assignment]
    first = pod("first", made, networks=f"{TUNNEL}, {LAN}", labels={"app": "first"})
    try:
        clean.apply(f"{json.dumps(space)}\n---\n{first}")
        clean.wait_pod_ready("first", made)
        for link in ("net1", "net2"):
            said = interface(clean, made, "first", link)["policy"]
            assert (said["enforced"], said["reason"]) == (True, "Enforced"), said
    finally:
        clean.kubectl("delete", "namespace", made, "--timeout=55s")
