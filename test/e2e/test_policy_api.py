"""Policies on networks at a real API server: what is refused, by whom and in which words; whose the slices
are; and what the controller makes of a policy as pods come and go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from e2elib.admission import try_out
from e2elib.cluster import Cluster
from e2elib.networks import Networks
from e2elib.objects import (
    MULTI_NETWORK_POLICIES,
    address,
    cluster_policy,
    interface,
    multi_network_policy,
    network,
    policy,
    policy_slice,
    vxlan,
)
from e2elib.pods import pod

FOLLOWED_WITHIN = 15.0  # a policy, a pod or a label; mostly a second
SERVE = "mkdir /w && hostname > /w/index.html && exec httpd -f -p 80 -h /w"
WEB = {"podSelector": {"matchLabels": {"app": "web"}}}
BLOCK = {"ipBlock": {"cidr": "10.72.0.0/16", "except": ["10.72.9.0/24"]}}
TCP80 = {"protocol": "TCP", "port": 80}


def rule(peer: dict[str, Any] | None = None, port: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"ingress": [{"from": [peer or WEB], "ports": [port or TCP80]}]}


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no network": ({"podNetworkNames": []}, "spec.podNetworkNames"),
    "a network twice": (
        {"podNetworkNames": ["blue", "blue"]},
        "spec.podNetworkNames[1]: Duplicate value",
    ),
    "17 networks": (
        {"podNetworkNames": [f"n{i}" for i in range(17)]},
        "spec.podNetworkNames: Too many",
    ),
    "the cluster's network": (
        {"podNetworkNames": ["default"]},
        "default is the cluster's own network, which isn't Multinet's; write a NetworkPolicy",
    ),
    "the cluster's interface": ({"podNetworkNames": ["eth0"]}, "eth0 is the cluster's own network"),
    "a star": ({"podNetworkNames": ["*"]}, "* is no network's name"),
    "another type": (
        {"policyTypes": ["ingress"]},
        'spec.policyTypes[0]: Unsupported value: "ingress"',
    ),
    "a type twice": ({"policyTypes": ["Ingress", "Ingress"]}, "spec.policyTypes[1]: Duplicate"),
    "an unknown field": ({"pods": {}}, 'unknown field "spec.pods"'),
    "a misspelt from": ({"ingress": [{"form": [WEB]}]}, 'unknown field "spec.ingress[0].form"'),
    "In without values": (
        rule({"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}),
        "In and NotIn need values",
    ),
    "an operator that there isn't": (
        rule({"podSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}),
        'Unsupported value: "Is"',
    ),
    "a label that there can't be": (
        {"podSelector": {"matchLabels": {"a b": "c"}}},
        'spec.podSelector: matchLabels: "a b" is no label key',
    ),
    "a peer without a word": ({"ingress": [{"from": [{}]}]}, "spec.ingress[0].from[0]"),
    "a block and a selector": (rule(WEB | BLOCK), "has an ipBlock and a selector; make two peers"),
    "host bits": (
        rule({"ipBlock": {"cidr": "10.72.0.5/16"}}),
        "10.72.0.5/16 is no prefix without host bits",
    ),
    "no prefix": (rule({"ipBlock": {"cidr": "10.72.0.5"}}), "10.72.0.5 is no prefix"),
    "an exception outside": (
        rule({"ipBlock": {"cidr": "10.72.0.0/16", "except": ["10.73.0.0/24"]}}),
        'except[0]: "10.73.0.0/24" isn\'t within 10.72.0.0/16',
    ),
    "an exception that is all": (
        rule({"ipBlock": {"cidr": "10.72.0.0/16", "except": ["10.72.0.0/16"]}}),
        "is the whole block",
    ),
    "ICMP": (rule(port={"protocol": "ICMP"}), 'protocol: Unsupported value: "ICMP"'),
    "port 0": (rule(port={"port": 0}), "no port; write 1 to 65535"),
    "port 65536": (rule(port={"port": 65536}), "no port; write 1 to 65535"),
    "a number in quotes": (rule(port={"port": "80"}), "no port; write 1 to 65535"),
    "an end before the beginning": (rule(port={"port": 80, "endPort": 79}), "ends no range"),
    "an end of a name": (rule(port={"port": "pg", "endPort": 90}), "ends no range"),
    "an end without a beginning": (rule(port={"endPort": 90}), "a range that has no beginning"),
    "101 rules": ({"ingress": [{}] * 101}, "spec.ingress: Too many"),
    "101 peers": ({"ingress": [{"from": [WEB] * 101}]}, "spec.ingress[0].from: Too many"),
    "more peers than a head holds": (
        {"ingress": [{"from": [WEB] * 100}] * 21},
        "2100 selected peers",
    ),
}
WARNED: dict[str, tuple[dict[str, Any], str]] = {
    "rules of another direction": (
        {"egress": [{"to": [WEB]}]},
        "spec.egress: says nothing: spec.policyTypes lacks Egress",
    ),
    "everybody": ({"ingress": [{}]}, "spec.ingress[0].from: is left out or empty"),
    "an unknown network": (
        {"podNetworkNames": ["red", "bleu"]},
        '"bleu" names no PodNetwork that is open to namespace',
    ),
    "a block that nobody has": (
        rule({"ipBlock": {"cidr": "192.0.2.0/24"}}),
        'ipBlock.cidr: "192.0.2.0/24" matches nothing',
    ),
}


def deny(**changes: Any) -> dict[str, Any]:
    return {"ingress": [{"action": "Deny", "from": [{"namespaces": {}}], **changes}]}


def to(*peers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"egress": [{"action": "Deny", "to": list(peers), **changes}]}


def tcp(port: dict[str, Any]) -> dict[str, Any]:
    return deny(protocols=[{"tcp": {"destinationPort": port}}])


BAD_OF_THE_CLUSTER: dict[str, tuple[dict[str, Any], str]] = {
    "the cluster's network": ({"podNetworkNames": ["eth0"]}, "eth0 is the cluster's own network"),
    "another tier": ({"tier": "Middle"}, 'spec.tier: Unsupported value: "Middle"'),
    "another action": (deny(action="Allow"), 'action: Unsupported value: "Allow"'),
    "a priority above all": ({"priority": 1001}, "spec.priority"),
    "two subjects": (
        {
            "subject": {
                "namespaces": {},
                "pods": {"namespaceSelector": {}, "podSelector": {}},
            }
        },
        "must say one thing of whom it holds for",
    ),
    "no peers": (deny(**{"from": []}), "spec.ingress[0].from"),
    "two peers in one": (
        to({"namespaces": {}, "networks": ["192.0.2.0/24"]}),
        "must say in one way who it is",
    ),
    "blocks on ingress": (
        deny(**{"from": [{"networks": ["192.0.2.0/24"]}]}),
        "is for egress alone; write namespaces or pods",
    ),
    "nodes": (to({"nodes": {}}), "isn't known on a network of pods"),
    "names": (to({"domainNames": ["a.example"]}), "nobody on the network is asked for names"),
    "host bits": (to({"networks": ["192.0.2.1/24"]}), "192.0.2.1/24 is no prefix without host"),
    "a block twice": (to({"networks": ["192.0.2.0/24", "192.0.2.0/24"]}), "Duplicate value"),
    "port 0": (tcp({"number": 0}), "destinationPort.number"),
    "a range of one": (tcp({"range": {"start": 80, "end": 80}}), "is no range of ports"),
    "a number and a range": (
        tcp({"number": 80, "range": {"start": 80, "end": 81}}),
        "must say one thing; write a number or a range",
    ),
    "two protocols in one": (
        deny(
            protocols=[
                {
                    "tcp": {"destinationPort": {"number": 80}},
                    "udp": {"destinationPort": {"number": 80}},
                }
            ]
        ),
        "write one of tcp, udp, sctp and destinationNamedPort",
    ),
    "a name of no port": (
        deny(protocols=[{"destinationNamedPort": "80"}]),
        "80 is no name of a port",
    ),
    "a name beside blocks": (
        to({"networks": ["192.0.2.0/24"]}, protocols=[{"destinationNamedPort": "web"}]),
        "which blocks of addresses don't have",
    ),
    "a misspelt from": (deny(form=[]), 'unknown field "spec.ingress[0].form"'),
    "a label that there can't be": (
        {"subject": {"namespaces": {"matchLabels": {"a b": "c"}}}},
        'spec.subject.namespaces: matchLabels: "a b" is no label key',
    ),
}


@pytest.fixture
def red(deployed: Cluster, networks: Networks, namespace: str) -> Iterator[tuple[Cluster, str]]:
    networks.add_ready(vxlan("red", "10.72.0.0/24"))
    yield deployed, namespace


@pytest.mark.parametrize("name", sorted(BAD))
def test_bad_policies_are_refused(deployed: Cluster, name: str) -> None:
    spec, says = BAD[name]
    names = spec.get("podNetworkNames", ["blue"])
    rest = {key: value for key, value in spec.items() if key != "podNetworkNames"}
    code, err = try_out(deployed, policy("db", "default", *names, **rest))
    assert code != 0, "it was taken"
    assert says in err, err


@pytest.mark.parametrize("name", sorted(BAD_OF_THE_CLUSTER))
def test_bad_policies_of_the_cluster_are_refused(deployed: Cluster, name: str) -> None:
    spec, says = BAD_OF_THE_CLUSTER[name]
    names = spec.get("podNetworkNames", ["blue"])
    rest = {key: value for key, value in spec.items() if key != "podNetworkNames"}
    code, err = try_out(deployed, cluster_policy("guard", *names, **rest))
    assert code != 0, "it was taken"
    assert says in err, err


def test_what_is_doubtful_is_taken_with_a_word(red: tuple[Cluster, str]) -> None:
    cluster, namespace = red
    code, err = try_out(cluster, policy("db", namespace, "red"))
    assert (code, err) == (0, "")
    for name, (spec, says) in WARNED.items():
        names = spec.get("podNetworkNames", ["red"])
        rest = {key: value for key, value in spec.items() if key != "podNetworkNames"}
        code, err = try_out(cluster, policy("db", namespace, *names, **rest))
        assert code == 0, f"{name}: {err}"
        assert says in err, f"{name}: {err}"
    code, err = try_out(cluster, network("shut", "10.73.0.0/24", defaultPolicy="Deny"))
    assert code == 0 and "neither send nor receive" in err, err


def test_slices_are_the_controllers(red: tuple[Cluster, str]) -> None:
    cluster, namespace = red
    forged = json.dumps(policy_slice("forged-12345678", namespace, "red"))
    code, err = try_out(cluster, forged)
    assert code != 0 and "are written and deleted by Multinet's controller alone" in err, err
    cluster.apply(policy("db", namespace, "red"))
    head = heads(cluster, namespace, "db", 1)[0]["metadata"]["name"]
    for patch in ({"head": {"peers": []}}, {"metadata": {"labels": {"a": "b"}}}):
        code, _, err = cluster.kubectl_try(
            "patch", "pnps", head, "-n", namespace, "--type=merge", "-p", json.dumps(patch)
        )
        assert code != 0 and "are written and deleted by Multinet's controller alone" in err, err


def test_who_has_all_rights_of_a_namespace_opens_nothing(red: tuple[Cluster, str]) -> None:
    """What nodes are told and what they tell isn't taken away to undo what an admin wrote."""
    cluster, namespace = red
    cluster.apply(policy("db", namespace, "red"))
    cluster.apply(pod("one", namespace, networks="red"))
    cluster.wait_pod_ready("one", namespace)
    head = heads(cluster, namespace, "db", 1)[0]["metadata"]["name"]
    rights = ("--verb=*", "--resource=*.multinet.dev", "-n", namespace)
    cluster.kubectl("create", "role", "all", *rights)
    cluster.kubectl("create", "rolebinding", "all", "--role=all", "--user=eve", "-n", namespace)
    pods = [one["metadata"]["name"] for one in cluster.items("podinterfacesets", namespace)]
    assert pods
    for kind, name in (("podnetworkpolicyslices", head), ("podinterfacesets", pods[0])):
        for what in ((name,), ("--all",)):
            code, _, err = cluster.kubectl_try(
                *("delete", kind, *what, "-n", namespace, "--wait=false", "--as=eve")
            )
            assert code != 0 and "alone; " in err, err
    code, _, err = cluster.kubectl_try(
        *("patch", "podinterfacesets", pods[0], "-n", namespace, "--as=eve"),
        *("--type=merge", "-p", '{"interfaces": []}'),
    )
    assert code != 0 and "written by the nodes of their pods alone" in err, err
    cluster.kubectl("delete", "podnetworkpolicies", "db", "-n", namespace, "--as=eve")
    cluster.wait(
        lambda: not slices(cluster, namespace, "db"), FOLLOWED_WITHIN, "its slices to go with it"
    )


def test_slices_arent_for_who_has_a_namespace(red: tuple[Cluster, str]) -> None:
    """They have addresses of other namespaces' pods, by whatever labels a policy asks for."""
    cluster, namespace = red
    cluster.kubectl(
        *("create", "rolebinding", "ann", "-n", namespace, "--clusterrole=admin", "--user=ann")
    )

    def may_list(kind: str) -> bool:
        asked = ("auth", "can-i", "list", f"{kind}.multinet.dev", "-n", namespace, "--as=ann")
        return cluster.kubectl_try(*asked)[1].strip() == "yes"

    cluster.wait(lambda: may_list("podnetworkpolicies"), FOLLOWED_WITHIN, "what admins may")
    assert not may_list("podnetworkpolicyslices")


def slices(cluster: Cluster, namespace: str, name: str) -> list[dict[str, Any]]:
    found = cluster.items("podnetworkpolicyslices", namespace)
    return [one for one in found if one.get("policyName") == name]


def heads(cluster: Cluster, namespace: str, name: str, generation: int) -> list[dict[str, Any]]:
    """Waits until the head speaks of the generation."""

    def told() -> list[dict[str, Any]]:
        found = [one for one in slices(cluster, namespace, name) if "head" in one]
        return [one for one in found if one["head"]["policyGeneration"] == generation]

    return cluster.wait(told, FOLLOWED_WITHIN, f"a head of {namespace}/{name}") or []


def wait_members(cluster: Cluster, namespace: str, name: str, wanted: set[str]) -> None:
    def told() -> bool:
        all_of_it = slices(cluster, namespace, name)
        (head,) = [one["head"] for one in all_of_it if "head" in one] or [{}]
        counted = sum(peer["members"] for peer in head.get("peers", []))
        found = {
            entry["address"]
            for one in all_of_it
            for entry in one.get("members", {}).get("entries", [])
        }
        return found == wanted and counted == len(wanted)

    cluster.wait(told, FOLLOWED_WITHIN, f"slices of {namespace}/{name} to have {wanted}")


def wait_reason(cluster: Cluster, namespace: str, name: str, kind: str, reason: str) -> None:
    def told() -> bool:
        status = cluster.json("podnetworkpolicy", name, namespace).get("status", {})
        found = [one for one in status.get("conditions", []) if one["type"] == kind]
        return bool(found) and found[0]["reason"] == reason

    cluster.wait(told, FOLLOWED_WITHIN, f"{kind} of {namespace}/{name} to say {reason}")


def test_slices_and_status_follow_the_pods(red: tuple[Cluster, str]) -> None:
    cluster, namespace = red
    cluster.apply(policy("db", namespace, "red"))
    wait_reason(cluster, namespace, "db", "Accepted", "Accepted")
    wait_reason(cluster, namespace, "db", "PeersResolved", "Resolved")
    wait_reason(cluster, namespace, "db", "Enforced", "NoneSelected")
    named = {"protocol": "TCP", "port": "nobody-has-it"}
    cluster.apply(
        policy("web", namespace, "red", podSelector=WEB["podSelector"], **rule(port=named))
    )
    for name in ("web-0", "web-1"):
        cluster.apply(pod(name, namespace, networks="red", labels={"app": "web"}))
    addresses = {}
    for name in ("web-0", "web-1"):
        cluster.wait_pod_ready(name, namespace)
        addresses[name] = address(interface(cluster, namespace, name, "net1"))
    wait_members(cluster, namespace, "db", set(addresses.values()))
    wait_reason(cluster, namespace, "web", "Accepted", "NamedPortNotFound")
    for one in slices(cluster, namespace, "db"):
        assert one["metadata"]["labels"]["multinet.dev/policy-namespace"] == namespace
        assert one["metadata"]["ownerReferences"][0]["kind"] == "PodNetworkPolicy"

    cluster.kubectl("label", "pod", "web-0", "-n", namespace, "app=ops", "--overwrite")
    wait_members(cluster, namespace, "db", {addresses["web-1"]})
    cluster.apply(
        policy("db", namespace, "red", ingress=[{"from": [{"podSelector": {}}]}], egress=[])
    )
    heads(cluster, namespace, "db", 2)
    wait_members(cluster, namespace, "db", set(addresses.values()))
    cluster.delete("pod", "web-1", namespace)
    wait_members(cluster, namespace, "db", {addresses["web-0"]})

    cluster.apply(pod("db-0", namespace, networks="red", labels={"app": "db"}))
    cluster.wait_pod_ready("db-0", namespace)

    def counted() -> bool:
        status = cluster.json("podnetworkpolicy", "db", namespace)["status"]
        return bool(status["interfaces"]["selected"] == 1)

    cluster.wait(counted, FOLLOWED_WITHIN, "db-0 to be counted")
    cluster.delete("podnetworkpolicy", "db", namespace)
    cluster.wait(
        lambda: not slices(cluster, namespace, "db"), FOLLOWED_WITHIN, "its slices to go with it"
    )


def test_a_networks_default_is_told_in_each_namespace_with_pods_on_it(
    deployed: Cluster, networks: Networks, namespace: str
) -> None:
    networks.add_ready(vxlan("own", "10.74.0.0/24", defaultPolicy="SameNamespace"))
    deployed.apply(pod("one", namespace, networks="own"))
    deployed.wait_pod_ready("one", namespace)
    mine = address(interface(deployed, namespace, "one", "net1"))

    def told() -> bool:
        found = deployed.items("podnetworkpolicyslices", namespace)
        (head,) = [one["head"] for one in found if "head" in one] or [{}]
        entries = [one["members"]["entries"] for one in found if "members" in one]
        return head.get("podNetworkName") == "own" and entries == [[{"address": mine}]]

    deployed.wait(told, FOLLOWED_WITHIN, "the default's head and slice")
    deployed.delete("pod", "one", namespace)
    deployed.wait(
        lambda: not deployed.items("podnetworkpolicyslices", namespace),
        FOLLOWED_WITHIN,
        "they are gone with the last pod",
    )


def ledger(cluster: Cluster, namespace: str) -> dict[str, int] | None:
    """Generations of policies of the cluster by name; nothing where there is no ledger."""
    for one in cluster.items("podnetworkpolicyslices", namespace):
        if one["metadata"]["name"] == "multinet-cluster-policies":
            return {
                entry["name"]: entry["generation"] for entry in one["ledger"]["clusterPolicies"]
            }
    return None


def test_a_policy_of_the_cluster_is_told_where_it_selects(red: tuple[Cluster, str]) -> None:
    cluster, namespace = red
    name = f"guard-{namespace}"
    code, err = try_out(cluster, cluster_policy(name, "red", ingress=None))
    assert code == 0 and "has no rules" in err, err
    subject = {"namespaces": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    cluster.apply(cluster_policy(name, "red", subject=subject))
    try:
        cluster.apply(pod("web", namespace, networks="red", labels={"app": "web"}))

        def told() -> list[dict[str, Any]]:
            found = cluster.items("podnetworkpolicyslices", namespace)
            return [one for one in found if one.get("clusterPolicyName") == name and "head" in one]

        (head,) = cluster.wait(told, FOLLOWED_WITHIN, "a head of the policy") or []
        assert head["head"]["clusterSpec"]["subject"] == subject
        cluster.wait(
            lambda: ledger(cluster, namespace) == {name: 1}, FOLLOWED_WITHIN, "a ledger with it"
        )
        cluster.kubectl("label", "namespace", namespace, "team=shop")
        merge = {"spec": {"subject": {"namespaces": {"matchLabels": {"team": "ops"}}}}}
        cluster.kubectl("patch", "cpnp", name, "--type=merge", "-p", json.dumps(merge))
        cluster.wait(lambda: not told(), FOLLOWED_WITHIN, "its head to go")
        cluster.wait(
            lambda: ledger(cluster, namespace) == {name: 2},
            FOLLOWED_WITHIN,
            "the ledger to say so",
        )
    finally:
        cluster.kubectl("delete", "cpnp", name)
    cluster.wait(
        lambda: ledger(cluster, namespace) is None, FOLLOWED_WITHIN, "the ledger to go with it"
    )


@pytest.fixture
def multi(red: tuple[Cluster, str]) -> Iterator[tuple[Cluster, str]]:
    """With the kind of MultiNetworkPolicies, which the controller began without."""
    cluster, namespace = red
    kind = "multi-networkpolicies.k8s.cni.cncf.io"
    assert not cluster.exists("crd", kind)
    cluster.apply(MULTI_NETWORK_POLICIES)
    try:
        cluster.kubectl("wait", "--for=condition=Established", f"crd/{kind}", "--timeout=20s")
        yield cluster, namespace
    finally:
        cluster.kubectl("delete", "crd", kind)


def told_of(cluster: Cluster, namespace: str, name: str, reason: str) -> str:
    """The message of an Event about a MultiNetworkPolicy, once there is one."""

    def told() -> str:
        found = [
            one["message"]
            for one in cluster.items("events", namespace)
            if one["involvedObject"]["name"] == name and one["reason"] == reason
        ]
        return found[0] if found else ""

    return cluster.wait(told, FOLLOWED_WITHIN, f"an Event {reason} of {namespace}/{name}")


def test_multi_network_policies_hold_where_the_namespace_is_owned(
    multi: tuple[Cluster, str],
) -> None:
    cluster, namespace = multi
    for name, app in (("db-0", "db"), ("web-0", "web"), ("ops-0", "ops")):
        cluster.apply(pod(name, namespace, networks="red", labels={"app": app}, script=SERVE))
    cluster.apply(multi_network_policy("db", namespace, f"{namespace}/red"))
    cluster.apply(multi_network_policy("nowhere", namespace, " , "))
    cluster.apply(policy("npwg-taken", namespace, "red"))
    cluster.apply(multi_network_policy("taken", namespace, "red", ingress=None))
    for name in ("db-0", "web-0", "ops-0"):
        cluster.wait_pod_ready(name, namespace)
    assert not cluster.exists("podnetworkpolicy", "npwg-db", namespace), "nobody asked for it"

    cluster.kubectl("label", "namespace", namespace, "multinet.dev/npwg=owned")
    cluster.wait(
        lambda: cluster.exists("podnetworkpolicy", "npwg-db", namespace),
        30.0,
        "the kind to be noticed, and a PodNetworkPolicy",
    )
    wait_reason(cluster, namespace, "npwg-db", "Enforced", "Enforced")
    db = address(interface(cluster, namespace, "db-0", "net1"))
    reach = ("timeout", "2", "wget", "-q", "-O-", f"http://{db}/")
    code, _, err = cluster.pod_exec_try(namespace, "web-0", *reach)
    assert code == 0, err
    assert cluster.pod_exec_try(namespace, "ops-0", *reach)[0] != 0, "ops is let in"

    made = cluster.json("podnetworkpolicy", "npwg-db", namespace)
    assert made["metadata"]["ownerReferences"][0]["kind"] == "MultiNetworkPolicy"
    opened = json.dumps({"spec": {"ingress": [{}]}})
    cluster.kubectl("patch", "pnp", "npwg-db", "-n", namespace, "--type=merge", "-p", opened)

    def spec() -> Any:
        return cluster.json("podnetworkpolicy", "npwg-db", namespace)["spec"]

    cluster.wait(lambda: spec() == made["spec"], FOLLOWED_WITHIN, "it to be put back")
    assert "names no PodNetwork" in told_of(cluster, namespace, "nowhere", "NoNetworks")
    assert "isn't made of this" in told_of(cluster, namespace, "taken", "NameTaken")
    assert cluster.json("podnetworkpolicy", "npwg-taken", namespace)["spec"]["ingress"]

    cluster.apply(multi_network_policy("db", namespace, "red", ingress=[{"form": [WEB]}]))
    assert "spec.ingress[0].form" in told_of(cluster, namespace, "db", "NotTranslated")
    assert "ingress" not in spec()
    cluster.apply(multi_network_policy("db", namespace, ""))

    def gone() -> bool:
        return not cluster.exists("podnetworkpolicy", "npwg-db", namespace)

    cluster.wait(gone, FOLLOWED_WITHIN, "it to go with its networks")
    cluster.apply(multi_network_policy("db", namespace, "red"))
    cluster.wait(lambda: not gone(), FOLLOWED_WITHIN, "it to come back")
    cluster.kubectl("label", "namespace", namespace, "multinet.dev/npwg-")
    cluster.wait(gone, FOLLOWED_WITHIN, "it to go with the label")
    assert cluster.exists("podnetworkpolicy", "npwg-taken", namespace)
