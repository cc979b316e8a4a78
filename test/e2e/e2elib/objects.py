"""Manifests of networks and attachments, and what the API tells of them."""

from __future__ import annotations

import json
from typing import Any

from e2elib.cluster import Cluster, condition

API = "multinet.dev/v1alpha1"


def network(name: str, *cidrs: str, **changes: Any) -> str:
    """A bridge of each node, open to all namespaces, with some of its spec replaced."""
    spec: dict[str, Any] = {
        "type": "Bridge",
        "bridge": {"mode": "Own"},
        "ipam": {"subnets": [{"cidr": cidr} for cidr in cidrs]},
        "access": {"namespaces": {"from": "All"}},
    }
    return _manifest("PodNetwork", {"name": name}, spec | changes)


def vxlan(name: str, *cidrs: str, vni: int | None = None, **changes: Any) -> str:
    """A tunnel network; without a VNI one is allocated."""
    member = {} if vni is None else {"vni": vni}
    made = json.loads(network(name, *cidrs, **({"type": "VXLAN", "vxlan": member} | changes)))
    del made["spec"]["bridge"]
    return json.dumps(made)


def macvlan(name: str, parent: str, *cidrs: str, **changes: Any) -> str:
    member = {"type": "Macvlan", "macvlan": {"parent": parent}}
    made = json.loads(network(name, *cidrs, **(member | changes)))
    del made["spec"]["bridge"]
    return json.dumps(made)


def attachment(name: str, namespace: str, network_name: str, **spec: Any) -> str:
    metadata = {"name": name, "namespace": namespace}
    return _manifest("PodNetworkAttachment", metadata, {"podNetworkName": network_name} | spec)


def service(name: str, namespace: str, network_name: str, **spec: Any) -> str:
    """Headless, of the pods with app: NAME, by one port, with some of its spec replaced."""
    good: dict[str, Any] = {
        "podNetworkName": network_name,
        "selector": {"app": name},
        "clusterIP": "None",
        "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
    }
    made = {key: value for key, value in (good | spec).items() if value is not None}
    return _manifest("PodNetworkService", {"name": name, "namespace": namespace}, made)


def policy(name: str, namespace: str, *networks: str, **spec: Any) -> str:
    """Pods with app: NAME take TCP 80 from those with app: web, with some of its spec replaced."""
    good: dict[str, Any] = {
        "podNetworkNames": list(networks),
        "podSelector": {"matchLabels": {"app": name}},
        "policyTypes": ["Ingress"],
        "ingress": [
            {
                "from": [{"podSelector": {"matchLabels": {"app": "web"}}}],
                "ports": [{"protocol": "TCP", "port": 80}],
            }
        ],
    }
    made = {key: value for key, value in (good | spec).items() if value is not None}
    return _manifest("PodNetworkPolicy", {"name": name, "namespace": namespace}, made)


def multi_network_policy(name: str, namespace: str, networks: str, **spec: Any) -> str:
    """Of the Network Plumbing Working Group's kind: as policy(), with its networks in a word."""
    of_ours = json.loads(policy(name, namespace, "any", **spec))
    del of_ours["spec"]["podNetworkNames"]
    metadata = {
        "name": name,
        "namespace": namespace,
        "annotations": {"k8s.v1.cni.cncf.io/policy-for": networks},
    }
    kind = {"apiVersion": "k8s.cni.cncf.io/v1beta1", "kind": "MultiNetworkPolicy"}
    return json.dumps(kind | {"metadata": metadata, "spec": of_ours["spec"]})


MULTI_NETWORK_POLICIES = json.dumps(
    {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "multi-networkpolicies.k8s.cni.cncf.io"},
        "spec": {
            "group": "k8s.cni.cncf.io",
            "scope": "Namespaced",
            "names": {"plural": "multi-networkpolicies", "kind": "MultiNetworkPolicy"},
            "versions": [
                {
                    "name": "v1beta1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {
                                "spec": {
                                    "type": "object",
                                    "x-kubernetes-preserve-unknown-fields": True,
                                }
                            },
                        }
                    },
                }
            ],
        },
    }
)
"""The definition of that kind, as loose as a definition can be."""


def cluster_policy(name: str, *networks: str, **spec: Any) -> str:
    """Nobody reaches TCP 80 of pods of namespaces with team: shop; a field of None isn't in it."""
    good: dict[str, Any] = {
        "podNetworkNames": list(networks),
        "tier": "Admin",
        "priority": 10,
        "subject": {"namespaces": {"matchLabels": {"team": "shop"}}},
        "ingress": [
            {
                "action": "Deny",
                "from": [{"namespaces": {}}],
                "protocols": [{"tcp": {"destinationPort": {"number": 80}}}],
            }
        ],
    }
    made = {key: value for key, value in (good | spec).items() if value is not None}
    return _manifest("ClusterPodNetworkPolicy", {"name": name}, made)


def policy_slice(name: str, namespace: str, network_name: str) -> dict[str, Any]:
    """One that the controller could have written, with a member of the network."""
    return {
        "apiVersion": API,
        "kind": "PodNetworkPolicySlice",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"multinet.dev/policy-namespace": namespace},
        },
        "policyName": "web",
        "policyUID": "12345678-1111-4222-8333-444455556666",
        "members": {
            "podNetworkName": network_name,
            "peer": "0123456789abcdef",
            "entries": [{"address": "10.20.0.7"}],
        },
    }


# What makes of service() one that leads to an outside name.
OUTSIDE: dict[str, Any] = {
    "type": "ExternalName",
    "externalName": "db.example.com",
    "selector": None,
    "clusterIP": None,
}


def together(*manifests: str) -> str:
    """One document of several objects, for one kubectl."""
    items = [json.loads(manifest) for manifest in manifests]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def _manifest(kind: str, metadata: dict[str, str], spec: dict[str, Any]) -> str:
    return json.dumps({"apiVersion": API, "kind": kind, "metadata": metadata, "spec": spec})


def ready_condition(cluster: Cluster, name: str) -> dict[str, Any]:
    """The condition Ready of a network; empty while there is none."""
    conditions = cluster.json("podnetwork", name).get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == "Ready"), {})


def wait_ready(cluster: Cluster, *names: str, timeout: float = 30) -> None:
    for name in names:
        cluster.wait(
            lambda name=name: condition(cluster.json("podnetwork", name), "Ready") == "True",
            timeout,
            f"network {name} to be Ready",
        )


def node_conditions(cluster: Cluster, node: str) -> dict[str, dict[str, str]]:
    """The condition Ready of each network that a node reports, as the node measured it."""
    status = cluster.json("nodenetworkset", node).get("status", {})
    told = {}
    for entry in status.get("networks", []):
        (ready,) = [one for one in entry["conditions"] if one["type"] == "Ready"]
        told[entry["podNetworkName"]] = dict(ready)
    return told


def node_condition(cluster: Cluster, node: str, name: str) -> dict[str, str]:
    told = node_conditions(cluster, node)
    assert name in told, f"{node} doesn't report network {name}"
    return told[name]


def wait_served(cluster: Cluster, *names: str) -> None:
    """Waits until the networks can be used on every node: nothing that can be probed is amiss. A node
    without pods says nothing of a network that is joined on demand."""
    wait_ready(cluster, *names)
    always = {
        name for name in names if cluster.json("podnetwork", name)["spec"]["join"] == "Always"
    }

    def served() -> bool:
        for node in cluster.nodes:
            told = node_conditions(cluster, node)
            for name in names:
                assert name in told or name not in always, f"{node} doesn't report network {name}"
                ready = told.get(name, {"status": "True"})
                assert ready["status"] == "True", f"{name} on {node}: {ready}"
        return True

    cluster.wait(served, 30, f"networks {', '.join(names)} on every node")


def interface_sets(cluster: Cluster, namespace: str) -> dict[str, dict[str, Any]]:
    """What each pod of a namespace got, by the pod's name."""
    return {one["pod"]["name"]: one for one in cluster.items("podinterfacesets", namespace)}


def interface(cluster: Cluster, namespace: str, pod: str, name: str) -> dict[str, Any]:
    """One interface as the API tells it; waits until it is told."""

    def told() -> dict[str, Any] | None:
        entry = interface_sets(cluster, namespace).get(pod)
        if entry is None:
            return None
        return next((one for one in entry["interfaces"] if one["name"] == name), None)

    return dict(cluster.wait(told, 20, f"a PodInterfaceSet of {namespace}/{pod} with {name}") or {})


def essence(told: dict[str, Any]) -> dict[str, Any]:
    """An interface as the API tells it, without since when."""
    return {key: value for key, value in told.items() if key not in ("conditions", "attachedAt")}


def address(told: dict[str, Any], family: str = "IPv4") -> str:
    """An interface's address of a family, without its length."""
    (found,) = [one["address"] for one in told["ips"] if one["family"] == family]
    return str(found).split("/")[0]
