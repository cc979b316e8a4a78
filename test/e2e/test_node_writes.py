"""A node's credentials write what speaks of that node, and nothing else: a stolen one takes no other
node's addresses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from e2elib.cluster import REPOSITORY, Cluster

API = "multinet.dev/v1alpha1"
PARTS = ("deploy/namespace.yaml", "deploy/rbac/nodes.yaml", "deploy/policies/node-writes.yaml")


@pytest.fixture(scope="module")
def bound_nodes(cluster: Cluster) -> Iterator[None]:
    """CRDs, the nodes' rights and their bounds, in force."""
    cluster.kubectl("apply", "--server-side", "-k", str(REPOSITORY / "crds"))
    for part in PARTS:
        cluster.kubectl("apply", "--server-side", "-f", str(REPOSITORY / part))
    first, second = cluster.nodes[:2]

    def in_force() -> bool:
        own, other = (
            write(cluster, first, "create", block("10.20.9.0", node), "--dry-run=server")
            for node in (first, second)
        )
        assert own == (0, ""), own
        return "a node writes blocks for itself only" in other[1]

    cluster.wait(in_force, 40, "the rights of nodes and their bounds to be in force")
    yield
    for part in reversed(PARTS):
        cluster.kubectl("delete", "--ignore-not-found", "-f", str(REPOSITORY / part))


def block(address: str, node: str) -> dict[str, Any]:
    digits = "".join(f"{int(part):02x}" for part in address.split("."))
    return {
        "apiVersion": API,
        "kind": "IPBlock",
        "metadata": {"name": f"blue-v4-{digits}-26"},
        "spec": {
            "podNetworkName": "blue",
            "podNetworkUID": "0c6a1f3e-1111-4222-8333-444455556666",
            "cidr": f"{address}/26",
            "nodeName": node,
        },
    }


def write(
    cluster: Cluster, node: str, verb: str, thing: dict[str, Any], *more: str
) -> tuple[int, str]:
    """As the node does it."""
    code, _, err = cluster.kubectl_try(
        *(verb, "-f", "-", *more), stdin=json.dumps(thing), kubeconfig=cluster.node_kubeconfig(node)
    )
    return code, err


@pytest.mark.usefixtures("bound_nodes")
def test_one_block_goes_to_one_node(cluster: Cluster) -> None:
    first, second = cluster.nodes[:2]
    lease = block("10.20.0.64", first)
    assert write(cluster, first, "create", lease) == (0, "")
    try:
        code, err = write(cluster, second, "create", block("10.20.0.64", second))
        assert code != 0
        assert "already exists" in err

        code, err = write(cluster, second, "delete", lease)
        assert code != 0
        assert "these are the blocks of another node" in err

        code, err = write(cluster, first, "replace", block("10.20.0.64", second))
        assert code != 0, "a lease can't be handed on"
    finally:
        code, err = write(cluster, first, "delete", lease)
    assert code == 0, err


@pytest.mark.usefixtures("bound_nodes")
@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("PodInterfaceSet", {"pod": {"name": "web", "uid": "u1"}, "interfaces": []}),
        (
            "NetworkPeer",
            {"podNetworkName": "blue", "podNetworkUID": "u2", "addresses": ["10.90.0.12"]},
        ),
    ],
)
def test_a_node_speaks_for_itself_only(cluster: Cluster, kind: str, fields: dict[str, Any]) -> None:
    first, second = cluster.nodes[:2]
    metadata = {"name": "forged"}
    if kind == "PodInterfaceSet":
        metadata["namespace"] = "default"
    forged = {"apiVersion": API, "kind": kind, "metadata": metadata, "nodeName": second} | fields
    code, err = write(cluster, first, "create", forged, "--validate=false")
    assert code != 0
    assert "for itself only" in err
    assert first in err


@pytest.mark.usefixtures("bound_nodes")
@pytest.mark.parametrize("kind", ["podnetworks", "podnetworkattachments", "networkidentifiers"])
@pytest.mark.parametrize("verb", ["create", "update", "patch", "delete"])
def test_a_node_changes_no_network(cluster: Cluster, kind: str, verb: str) -> None:
    node = cluster.nodes[0]
    code, out, _ = cluster.kubectl_try(
        *("auth", "can-i", verb, f"{kind}.multinet.dev"), kubeconfig=cluster.node_kubeconfig(node)
    )
    assert (code, out.strip()) == (1, "no")
