"""Pods on named networks are held to PodNetworkPolicies by their nodes: who reaches whom, on one node and on
two, by IPv4 and IPv6; and what becomes of it as policies, labels, pods and agents come and go."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from e2elib.admission import try_out
from e2elib.cluster import Cluster
from e2elib.networks import Networks
from e2elib.objects import address, interface, macvlan, network, policy, vxlan
from e2elib.pods import WAIT_FOR_END, pod
from e2elib.oracle import table
from e2elib.probing import Packet, Prober, Who, packets, probing
from e2elib.talking import Talks, Way
from e2elib.writing import Writer

TUNNEL, BRIDGE, LAN = "policy-vxlan", "policy-bridge", "policy-macvlan"
ALONE = {
    "policy-vxlan-4": vxlan("policy-vxlan-4", "10.124.0.0/24"),
    "policy-vxlan-6": vxlan("policy-vxlan-6", "fd00:124::/64"),
    "policy-bridge-6": network("policy-bridge-6", "fd00:125::/64"),
    "policy-macvlan-4": macvlan("policy-macvlan-4", "eth1", "10.126.0.0/24"),
    "policy-macvlan-6": macvlan("policy-macvlan-6", "eth1", "fd00:126::/64"),
}  # of one family
BRIDGES = (BRIDGE, "policy-bridge-6")
OURS, THEIRS = "policy-x", "policy-y"
PODS = ((OURS, "a", 0), (OURS, "b", 1), (THEIRS, "a", 1), (THEIRS, "b", 0))
SERVE = "echo ok >/tmp/index.html; httpd -p 8080 -h /tmp; " + WAIT_FOR_END
RUNS = 3
LISTENED = 3.0  # seconds; TCP says again within one what was lost
FOLLOWED_WITHIN = 60.0  # mostly a second


def serving(name: str, namespace: str, node: str) -> str:
    networks = ", ".join([TUNNEL, BRIDGE, LAN, *ALONE])
    made: dict[str, Any] = json.loads(
        pod(name, namespace, node=node, networks=networks, script=SERVE, labels={"app": name})
    )
    made["spec"]["containers"][0]["ports"] = [{"name": "web", "containerPort": 80}]
    return json.dumps(made)


@pytest.fixture(scope="module")
def pods(deployed: Cluster) -> Iterator[Cluster]:
    networks = Networks(deployed)
    for namespace, team in ((OURS, "x"), (THEIRS, "y")):
        deployed.kubectl("create", "namespace", namespace)
        deployed.kubectl("label", "namespace", namespace, f"team={team}")
    try:
        networks.add_served(
            vxlan(TUNNEL, "10.121.0.0/24", "fd00:121::/64"),
            network(BRIDGE, "10.122.0.0/24"),
            macvlan(LAN, "eth1", "10.123.0.0/24", "fd00:123::/64"),
            *ALONE.values(),
        )
        for namespace, name, node in PODS:
            deployed.apply(serving(name, namespace, deployed.nodes[node]))
        for namespace, name, _ in PODS:
            deployed.wait_pod_ready(name, namespace)
        yield deployed
    finally:
        for namespace in (OURS, THEIRS):
            deployed.kubectl("delete", "namespace", namespace, "--timeout=55s")
        networks.remove()


@pytest.fixture
def clean(pods: Cluster) -> Iterator[Cluster]:
    yield pods
    for namespace in (OURS, THEIRS):
        pods.kubectl("delete", "podnetworkpolicies", "--all", "-n", namespace)


def told(cluster: Cluster, who: Who, link: str = "net1") -> dict[str, Any]:
    return interface(cluster, who[0], who[1], link)


def is_enforced(cluster: Cluster, link: str, where: str) -> bool:
    said = told(cluster, (OURS, "a"), link)["policy"]
    return (said["enforced"], said["where"], said["reason"]) == (True, where, "Enforced")


@pytest.fixture(scope="module")
def prober(pods: Cluster) -> Iterator[Prober]:
    with probing(pods, PODS) as made:
        yield made


Allows = Callable[[Who, Who, str, int], bool]
ON = {(namespace, name): node for namespace, name, node in PODS}


def expect(prober: Prober, allows: Allows, *networks: str) -> None:
    """By TCP. A pod reaches itself, and by a Bridge those of its node alone."""
    names = networks or (TUNNEL,)
    asked = [
        one for one in packets(prober.addresses) if one.protocol == "TCP" and one.network in names
    ]

    def may(one: Packet) -> bool:
        if one.source == one.target:
            return True
        apart = one.network in BRIDGES and ON[one.source] != ON[one.target]
        return not apart and allows(one.source, one.target, one.family, one.port)

    prober.settle(asked, may, f"what policies say on {', '.join(names)}")


A, B = {"matchLabels": {"app": "a"}}, {"matchLabels": {"app": "b"}}
TEAM_Y = {"matchLabels": {"team": "y"}}


def ingress(peers: list[dict[str, Any]] | None, ports: list[dict[str, Any]] | None = None) -> Any:
    rule: dict[str, Any] = {}
    if peers is not None:
        rule["from"] = peers
    if ports is not None:
        rule["ports"] = ports
    return [rule]


def to_ours(says: Allows) -> Allows:
    """Of what comes to our namespace's pods; all else passes."""
    return lambda source, target, family, port: target[0] != OURS or says(
        source, target, family, port
    )


OF_ONE_FAMILY = (
    "nothing comes in",
    "a pod of a namespace, by a port",
    "a block of one family",
    "to a pod, by the name of its port",
)
CASES: dict[str, tuple[dict[str, Any], Allows]] = {
    "nothing comes in": ({"ingress": []}, to_ours(lambda *_: False)),
    "everybody comes in": ({"ingress": [{}]}, to_ours(lambda *_: True)),
    "a pod of the namespace": (
        {"ingress": ingress([{"podSelector": B}])},
        to_ours(lambda source, *_: source == (OURS, "b")),
    ),
    "a namespace": (
        {"ingress": ingress([{"namespaceSelector": TEAM_Y}])},
        to_ours(lambda source, *_: source[0] == THEIRS),
    ),
    "a pod of a namespace, by a port": (
        {
            "ingress": ingress(
                [{"namespaceSelector": TEAM_Y, "podSelector": A}], [{"protocol": "TCP", "port": 80}]
            )
        },
        to_ours(lambda source, target, family, port: source == (THEIRS, "a") and port == 80),
    ),
    "one or the other": (
        {"ingress": ingress([{"namespaceSelector": TEAM_Y}, {"podSelector": A}])},
        to_ours(lambda source, *_: source[0] == THEIRS or source == (OURS, "a")),
    ),
    "a name of a port": (
        {"ingress": ingress(None, [{"protocol": "TCP", "port": "web"}])},
        to_ours(lambda source, target, family, port: port == 80),
    ),
    "a range of ports": (
        {"ingress": ingress(None, [{"protocol": "TCP", "port": 81, "endPort": 90}])},
        to_ours(lambda source, target, family, port: port == 81),
    ),
    "another protocol": (
        {"ingress": ingress(None, [{"protocol": "UDP"}])},
        to_ours(lambda *_: False),
    ),
    "a block of one family": (
        {"ingress": ingress([{"ipBlock": {"cidr": "10.0.0.0/8"}}])},
        to_ours(lambda source, target, family, port: family == "IPv4"),
    ),
    "nothing goes out": (
        {"policyTypes": ["Egress"], "ingress": None, "egress": []},
        lambda source, *_: source[0] != OURS,
    ),
    "to a pod, by the name of its port": (
        {
            "policyTypes": ["Egress"],
            "ingress": None,
            "egress": [
                {
                    "to": [{"podSelector": A}, {"namespaceSelector": TEAM_Y, "podSelector": B}],
                    "ports": [{"protocol": "TCP", "port": "web"}],
                }
            ],
        },
        lambda source, target, family, port: source[0] != OURS
        or (target in ((OURS, "a"), (THEIRS, "b")) and port == 80),
    ),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_who_reaches_whom(clean: Cluster, prober: Prober, name: str) -> None:
    spec, allows = CASES[name]
    clean.apply(policy("p", OURS, TUNNEL, **({"podSelector": {}} | spec)))
    wait_enforced(clean, "p")
    expect(prober, allows)


def test_an_exception_is_taken_from_its_block_alone(clean: Cluster, prober: Prober) -> None:
    left_out = address(told(clean, (THEIRS, "a")))
    block = {"ipBlock": {"cidr": "10.121.0.0/24", "except": [f"{left_out}/32"]}}
    clean.apply(policy("p", OURS, TUNNEL, podSelector={}, ingress=ingress([block])))
    expect(
        prober,
        to_ours(lambda source, target, family, port: family == "IPv4" and source != (THEIRS, "a")),
    )
    clean.apply(policy("q", OURS, TUNNEL, podSelector={}, ingress=ingress([{"podSelector": A}])))
    expect(
        prober,
        to_ours(
            lambda source, target, family, port: (family == "IPv4" and source != (THEIRS, "a"))
            or source == (OURS, "a")
        ),
    )


def test_other_networks_are_as_they_were_and_a_policy_that_goes_is_gone(
    clean: Cluster, prober: Prober
) -> None:
    expect(prober, lambda *_: True, BRIDGE)
    clean.apply(policy("p", OURS, TUNNEL, podSelector={}, ingress=[]))
    expect(prober, to_ours(lambda *_: False))
    expect(prober, lambda *_: True, BRIDGE)
    clean.wait(lambda: is_enforced(clean, "net1", "Node"), FOLLOWED_WITHIN, "the word on it")
    assert "policy" not in told(clean, (OURS, "a"), "net2")
    clean.delete("podnetworkpolicy", "p", OURS)
    expect(prober, lambda *_: True)
    clean.wait(
        lambda: "policy" not in told(clean, (OURS, "a")), FOLLOWED_WITHIN, "a set without a word"
    )


def test_a_bridge_is_held_too(clean: Cluster, prober: Prober) -> None:
    clean.apply(policy("p", OURS, BRIDGE, podSelector={}, ingress=ingress([{"podSelector": B}])))
    expect(prober, to_ours(lambda source, *_: source == (OURS, "b")), BRIDGE)


@pytest.mark.parametrize("name", OF_ONE_FAMILY)
def test_networks_of_one_family_are_held_alike(
    clean: Cluster, prober: Prober, programs: Path, name: str
) -> None:
    """VXLAN, Bridge and Macvlan; and a person is told the same."""
    spec, allows = CASES[name]
    names = (BRIDGE, *ALONE)
    clean.apply(policy("p", OURS, *names, **({"podSelector": {}} | spec)))
    wait_enforced(clean, "p")
    expect(prober, allows, *names)
    for one in names:
        family = "IPv6" if one.endswith("6") else "IPv4"
        for (source, target), yes in table(clean, programs, one, ON, "TCP", 80).items():
            may = source == target or allows(source, target, family, 80)
            assert yes == may, f"policy table of {one}: {source} to {target}"


def test_a_macvlan_is_held_in_its_pods(clean: Cluster, prober: Prober) -> None:
    for name in ("a pod of the namespace", "to a pod, by the name of its port"):
        spec, allows = CASES[name]
        clean.apply(policy("p", OURS, LAN, **({"podSelector": {}} | spec)))
        expect(prober, allows, LAN)
        clean.wait(
            lambda: is_enforced(clean, "net3", "Pod"), FOLLOWED_WITHIN, f"the word on {name}"
        )
        clean.delete("podnetworkpolicy", "p", OURS)


def test_who_can_undo_a_macvlans_policies_is_warned(clean: Cluster) -> None:
    may = {"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}
    warning = 'undo what policies and port security hold this pod to on "policy-macvlan" (Macvlan)'
    new = json.loads(pod("vpn", OURS, networks=LAN))
    new["spec"]["containers"].append({"name": "vpn", "image": "none"} | may)
    code, said = try_out(clean, json.dumps(new))
    assert code == 0 and warning in said, said
    known = clean.json("pod", "a", OURS)
    known["spec"]["ephemeralContainers"] = [{"name": "vpn", "image": "none"} | may]
    path = f"/api/v1/namespaces/{OURS}/pods/a/ephemeralcontainers?dryRun=All"
    code, _, said = clean.kubectl_try("replace", "--raw", path, "-f", "-", stdin=json.dumps(known))
    assert code == 0 and warning in said, said
    allow(clean, {"netAdmin": False})
    try:
        refusal = '"NET_ADMIN" of container "vpn" isn\'t allowed on "policy-macvlan" (Macvlan)'

        def refused() -> bool:
            code, said = try_out(clean, json.dumps(new))
            return code != 0 and refusal in said

        clean.wait(refused, FOLLOWED_WITHIN, "the network's word to reach the webhook")
        code, _, said = clean.kubectl_try(
            "replace", "--raw", path, "-f", "-", stdin=json.dumps(known)
        )
        assert code != 0 and refusal in said, said
    finally:
        allow(clean, None)


def allow(cluster: Cluster, what: dict[str, bool] | None) -> None:
    patch = json.dumps({"spec": {"allow": what}})
    cluster.kubectl("patch", "podnetwork", LAN, "--type=merge", "-p", patch)


def test_a_policys_status_names_pods_that_can_undo_it(clean: Cluster) -> None:
    vpn = json.loads(pod("vpn", OURS, networks=f"{TUNNEL}, {LAN}", labels={"app": "vpn"}))
    vpn["spec"]["containers"][0]["securityContext"] = {"capabilities": {"add": ["NET_ADMIN"]}}
    clean.apply(json.dumps(vpn))
    chosen = {"matchLabels": {"app": "vpn"}}
    try:
        clean.wait_pod_ready("vpn", OURS)
        clean.apply(policy("p", OURS, TUNNEL, LAN, podSelector=chosen, ingress=[]))
        told = [f"pod {OURS}/vpn net2: PodMayChangeRules"]

        def status() -> dict[str, Any]:
            said: dict[str, Any] = clean.json("podnetworkpolicy", "p", OURS).get("status", {})
            return said

        clean.wait(
            lambda: status().get("notEnforced") == told, FOLLOWED_WITHIN, "the status to name it"
        )
        assert status()["interfaces"] == {"selected": 2, "enforced": 1}
    finally:
        clean.delete("pod", "vpn", OURS, "--wait=true")


def test_labels_of_pods_and_namespaces_are_followed(clean: Cluster, prober: Prober) -> None:
    peers = [{"namespaceSelector": TEAM_Y}]
    clean.apply(policy("p", OURS, TUNNEL, podSelector=A, ingress=ingress(peers)))

    def held(selected: str, team: bool) -> Allows:
        return lambda source, target, family, port: (
            target != (OURS, selected) or (team and source[0] == THEIRS)
        )

    expect(prober, held("a", True))
    try:
        clean.kubectl("label", "namespace", THEIRS, "team=z", "--overwrite")
        expect(prober, held("a", False))
        clean.kubectl("label", "pod", "a", "-n", OURS, "app=c", "--overwrite")
        clean.kubectl("label", "pod", "b", "-n", OURS, "app=a", "--overwrite")
        expect(prober, held("b", False))
    finally:
        clean.kubectl("label", "namespace", THEIRS, "team=y", "--overwrite")
        for name in ("a", "b"):
            clean.kubectl("label", "pod", name, "-n", OURS, f"app={name}", "--overwrite")


@dataclass(frozen=True)
class Talking:
    """Connections to our b, by VXLAN and Macvlan, both families, TCP and UDP."""

    allowed: list[Way]  # from a of our namespace
    denied: list[Way]  # from those of the other one, on each node


@pytest.fixture
def talking(clean: Cluster, prober: Prober) -> Talking:
    ends = prober.netns

    def ways(source: Who) -> list[Way]:
        target = (OURS, "b")
        return [
            Way(f"{source} on {link}", ends[source], ends[target], family, protocol, at)
            for link in ("net1", "net3")
            for family in ("IPv4", "IPv6")
            for at in [address(told(clean, target, link), family)]
            for protocol in ("TCP", "UDP")
        ]

    return Talking(ways((OURS, "a")), ways((THEIRS, "a")) + ways((THEIRS, "b")))


def silent_after(cluster: Cluster, written: str, talking: Talking) -> float:
    """Seconds from the server's answer to the last word of a connection that isn't allowed any more. It
    must stay silent, and the others go on."""
    talks = Talks(talking.allowed + talking.denied)

    def all_heard() -> bool:
        """Whoever never spoke would count as silent at once."""
        before = time.monotonic()
        talks.go_on(0.5)
        mute = [way for way, heard in talks.heard_after(before).items() if heard < 0]
        assert not mute, f"not heard: {mute}"
        return True

    try:
        cluster.wait(all_heard, FOLLOWED_WITHIN, "each connection to be heard")
        Writer(cluster).apply(written)
        begin = time.monotonic()
        talks.go_on(LISTENED)
        heard = talks.heard_after(begin)
    finally:
        talks.close()
    late = [way for way in talking.denied if heard[way] > LISTENED - 1]
    assert not late, f"go on: {[(way, heard[way]) for way in late]}"
    lost = [way for way in talking.allowed if heard[way] < LISTENED - 1]
    assert not lost, f"fell silent: {[(way, heard[way]) for way in lost]}"
    return max(heard[way] for way in talking.denied)


def assert_quick(seconds: list[float]) -> None:
    """One of them may have met a machine that did something else."""
    assert sorted(seconds)[len(seconds) // 2] < 1, f"seconds until silence: {seconds}"


def test_connections_end_within_a_second_that_arent_allowed_any_more(
    clean: Cluster, talking: Talking
) -> None:
    wide = policy("p", OURS, TUNNEL, LAN, podSelector={}, ingress=[{}])
    narrow = policy("p", OURS, TUNNEL, LAN, podSelector={}, ingress=ingress([{"podSelector": A}]))
    took = []
    for _ in range(RUNS):
        clean.apply(wide)
        wait_enforced(clean, "p")
        took.append(silent_after(clean, narrow, talking))
    assert_quick(took)


def test_a_networks_first_policy_ends_connections_that_no_reading_of_it_allows(
    clean: Cluster, talking: Talking
) -> None:
    """Who began them isn't known of those that are older: our b is isolated both ways."""
    only_a = ingress([{"podSelector": A}])
    both: dict[str, Any] = {
        "podSelector": B,
        "policyTypes": ["Ingress", "Egress"],
        "ingress": only_a,
        "egress": [{"to": only_a[0]["from"]}],
    }
    took = []
    for _ in range(RUNS):
        clean.kubectl("delete", "podnetworkpolicies", "--all", "-n", OURS)
        clean.wait(
            lambda: all(
                "policy" not in told(clean, (OURS, "b"), link) for link in ("net1", "net3")
            ),
            FOLLOWED_WITHIN,
            "a set without a word",
        )
        took.append(silent_after(clean, policy("p", OURS, TUNNEL, LAN, **both), talking))
    assert_quick(took)


def test_the_first_policy_of_a_tracked_network_ends_what_it_doesnt_allow(
    clean: Cluster, talking: Talking
) -> None:
    """Isolated on ingress alone, so that it may begin connections to those whom it doesn't hear."""
    for name in (TUNNEL, LAN):
        track(clean, name, "Always")
    try:
        clean.wait(
            lambda: all(
                "policy" not in told(clean, (OURS, "b"), link) for link in ("net1", "net3")
            ),
            FOLLOWED_WITHIN,
            "a set without a word",
        )
        time.sleep(2)  # nothing tells that a node follows a network's connections
        first = policy("p", OURS, TUNNEL, LAN, podSelector=B, ingress=ingress([{"podSelector": A}]))
        assert silent_after(clean, first, talking) < 1
    finally:
        for name in (TUNNEL, LAN):
            track(clean, name, "Auto")


def track(cluster: Cluster, network_name: str, what: str) -> None:
    patch = json.dumps({"spec": {"trackConnections": what}})
    cluster.kubectl("patch", "podnetwork", network_name, "--type=merge", "-p", patch)


def wait_enforced(cluster: Cluster, name: str) -> None:
    def enforced() -> bool:
        one = cluster.json("podnetworkpolicy", name, OURS)
        return any(
            entry["type"] == "Enforced"
            and entry["status"] == "True"
            and entry["observedGeneration"] == one["metadata"]["generation"]
            for entry in one.get("status", {}).get("conditions", [])
        )

    cluster.wait(enforced, FOLLOWED_WITHIN, f"policy {name} to be enforced")


def test_a_new_pod_is_isolated_from_its_first_packet(clean: Cluster, prober: Prober) -> None:
    clean.apply(
        policy("p", OURS, TUNNEL, podSelector={}, policyTypes=["Egress"], ingress=None, egress=[])
    )
    expect(prober, lambda source, *_: source[0] != OURS)
    target = address(told(clean, (THEIRS, "b")))
    tries = f"for i in 1 2 3 4 5 6 7 8 9 10; do timeout 1 wget -q -O - http://{target}:8080/; done"
    assert clean.pod_exec(THEIRS, "a", "wget", "-q", "-O", "-", f"http://{target}:8080/")
    for i, node in enumerate(clean.nodes):
        script = f"({tries}) >/tmp/got 2>/dev/null; {WAIT_FOR_END}"
        clean.apply(pod(f"new-{i}", OURS, node=node, networks=TUNNEL, script=script))
    try:
        for i in range(len(clean.nodes)):
            clean.wait_pod_ready(f"new-{i}", OURS)
        time.sleep(11)
        for i in range(len(clean.nodes)):
            assert clean.pod_exec(OURS, f"new-{i}", "cat", "/tmp/got") == ""
    finally:
        for i in range(len(clean.nodes)):
            clean.delete("pod", f"new-{i}", OURS, "--wait=true")


def test_rules_stay_while_no_agent_runs(clean: Cluster, prober: Prober) -> None:
    clean.apply(
        policy("p", OURS, TUNNEL, LAN, podSelector={}, ingress=ingress([{"podSelector": B}]))
    )
    allows = to_ours(lambda source, *_: source == (OURS, "b"))
    expect(prober, allows)
    for node in clean.nodes:
        clean.kill_for_good(node, "agent")
    try:
        expect(prober, allows)
        expect(prober, allows, LAN)
    finally:
        for node in clean.nodes:
            clean.start(node, "agent")
    expect(prober, allows)
    expect(prober, allows, LAN)


def test_a_networks_default_holds_where_no_policy_does(clean: Cluster, prober: Prober) -> None:
    def default(value: str) -> None:
        patch = json.dumps({"spec": {"defaultPolicy": value}})
        clean.kubectl("patch", "podnetwork", TUNNEL, "--type=merge", "-p", patch)

    try:
        default("Deny")
        expect(prober, lambda *_: False)
        default("SameNamespace")
        expect(prober, lambda source, target, family, port: source[0] == target[0])
    finally:
        default("Allow")
    expect(prober, lambda *_: True)
