"""A node's credentials write what speaks of that node, under the name that says so, and nothing else: a
stolen one takes no other node's addresses, names or deletions, and reaches no other tenant's pods."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from e2elib.cluster import REPOSITORY, Cluster
from e2elib.objects import attachment, cluster_policy, policy, policy_slice, service, vxlan

API = "multinet.dev/v1alpha1"
PARTS = (
    "deploy/namespace.yaml",
    "deploy/rbac/nodes.yaml",
    "deploy/policies/node-writes.yaml",
    "deploy/policies/request-keys.yaml",
)


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


def peer(node: str) -> dict[str, Any]:
    return {
        "apiVersion": API,
        "kind": "NetworkPeer",
        "metadata": {"name": f"blue.{node}"},
        "podNetworkName": "blue",
        "podNetworkUID": "u2",
        "nodeName": node,
        "underlayIPs": ["10.90.0.12"],
    }


def interface_set(node: str) -> dict[str, Any]:
    pod = {"name": "web", "uid": "12345678-aaaa-4bbb-8ccc-ddddeeeeffff"}
    return {
        "apiVersion": API,
        "kind": "PodInterfaceSet",
        "metadata": {
            "name": "web-12345678",
            "namespace": "default",
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", **pod}],
        },
        "pod": pod,
        "nodeName": node,
        "interfaces": [],
    }


def node_set(node: str) -> dict[str, Any]:
    return {
        "apiVersion": API,
        "kind": "NodeNetworkSet",
        "metadata": {"name": node},
        "spec": {"nodeName": node},
    }


def named(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda thing: thing["metadata"].update(name=name)


def finalized(thing: dict[str, Any]) -> None:
    thing["metadata"]["finalizers"] = ["example.com/never"]


def owned(thing: dict[str, Any]) -> None:
    owner = {"apiVersion": "v1", "kind": "Namespace", "name": "default", "uid": "u9"}
    thing["metadata"]["ownerReferences"] = [owner]


def holding_its_owner_up(thing: dict[str, Any]) -> None:
    thing["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] = True


def with_cidr(cidr: str) -> Callable[[dict[str, Any]], None]:
    return lambda thing: thing["spec"].update(cidr=cidr)


def both(*changes: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    def change(thing: dict[str, Any]) -> None:
        for one in changes:
            one(thing)

    return change


def make_block(node: str) -> dict[str, Any]:
    return block("10.20.0.128", node)


# Each change makes of what a node may write something that it may not.
FORGED = [
    (peer, named("blue.other"), "metadata.name: want"),
    (peer, named("red.{node}"), "metadata.name: want"),
    (peer, finalized, "metadata.finalizers"),
    (peer, owned, "metadata.ownerReferences"),
    (interface_set, named("db-12345678"), "metadata.name: want the pod"),
    (interface_set, named("web-87654321"), "metadata.name: want the pod"),
    (interface_set, finalized, "metadata.finalizers"),
    (interface_set, owned, "metadata.ownerReferences"),
    (interface_set, holding_its_owner_up, "metadata.ownerReferences"),
    (node_set, finalized, "metadata.finalizers"),
    (node_set, owned, "metadata.ownerReferences"),
    (node_set, named("other"), "other"),
    (make_block, named("blue-v4-0a1400ff-26"), "made of network and prefix"),
    (make_block, named("blue-v4-deadbeef-26"), "made of network and prefix"),
    (
        make_block,
        both(with_cidr("fd20::40/122"), named("blue-v6-fd20000000000000000000000000ff40-122")),
        "made of network and prefix",
    ),
    (make_block, finalized, "metadata.finalizers"),
    (make_block, owned, "metadata.ownerReferences"),
]


@pytest.mark.usefixtures("bound_nodes")
@pytest.mark.parametrize("make", [peer, interface_set, node_set, make_block])
def test_a_node_writes_what_is_its_own(
    cluster: Cluster, make: Callable[[str], dict[str, Any]]
) -> None:
    node = cluster.nodes[0]
    thing = make(node)
    code, err = write(cluster, node, "create", thing, "--dry-run=server")
    # The node's agent may have made it long ago: the server judges first and looks then.
    assert code == 0 or "already exists" in err, err
    other = make(cluster.nodes[1])
    code, err = write(cluster, node, "create", other, "--dry-run=server")
    assert code != 0
    assert "itself only" in err


@pytest.mark.usefixtures("bound_nodes")
def test_a_block_of_ipv6_is_named_by_all_of_its_digits(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    thing = make_block(node)
    both(with_cidr("fd20::40/122"), named("blue-v6-fd200000000000000000000000000040-122"))(thing)
    assert write(cluster, node, "create", thing, "--dry-run=server") == (0, "")


@pytest.mark.usefixtures("bound_nodes")
@pytest.mark.parametrize(("make", "forge", "word"), FORGED)
def test_a_node_forges_no_name_owner_or_finalizer(
    cluster: Cluster,
    make: Callable[[str], dict[str, Any]],
    forge: Callable[[dict[str, Any]], None],
    word: str,
) -> None:
    node = cluster.nodes[0]
    thing = copy.deepcopy(make(node))
    forge(thing)
    thing["metadata"]["name"] = thing["metadata"]["name"].format(node=node)
    code, err = write(cluster, node, "create", thing, "--dry-run=server")
    assert code != 0
    assert word in err


NETWORK = {
    "apiVersion": API,
    "kind": "PodNetwork",
    "metadata": {"name": "cut"},
    "spec": {
        "type": "VXLAN",
        "vxlan": {},
        "ipam": {"subnets": [{"cidr": "10.30.0.0/16"}, {"cidr": "10.31.0.0/24", "blockSize": 28}]},
        "access": {"namespaces": {"from": "All"}},
    },
}


@pytest.mark.usefixtures("bound_nodes")
def test_a_block_is_as_its_network_cuts_them(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(NETWORK))
    try:
        uid = cluster.kubectl("get", "podnetwork", "cut", "-o", "jsonpath={.metadata.uid}")

        def lease(address: str, length: int, of: str = uid.strip()) -> tuple[int, str]:
            thing = block(address, node)
            digits = "".join(f"{int(part):02x}" for part in address.split("."))
            thing["metadata"]["name"] = f"cut-v4-{digits}-{length}"
            thing["spec"].update(podNetworkName="cut", podNetworkUID=of, cidr=f"{address}/{length}")
            return write(cluster, node, "create", thing, "--dry-run=server")

        assert lease("10.30.0.64", 26) == (0, "")
        assert lease("10.31.0.16", 28) == (0, "")
        # One that large would leave no other node an address.
        assert "no block of a subnet" in lease("10.30.0.0", 16)[1]
        assert "no block of a subnet" in lease("10.30.0.0", 17)[1]
        assert "no block of a subnet" in lease("10.31.0.0", 26)[1]
        assert "no block of a subnet" in lease("10.32.0.0", 26)[1]
        assert "has the UID" in lease("10.30.0.64", 26, of="another")[1]
    finally:
        cluster.kubectl("delete", "podnetwork", "cut", "--wait=false")


@pytest.mark.usefixtures("bound_nodes")
def test_whoever_places_a_pod_asks_for_no_network(cluster: Cluster) -> None:
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {
            "name": "web",
            "namespace": "default",
            "annotations": {"multinet.dev/networks": "blue"},
        },
        "target": {"apiVersion": "v1", "kind": "Node", "name": cluster.nodes[0]},
    }
    code, _, err = cluster.kubectl_try("create", "-f", "-", stdin=json.dumps(binding))
    assert code != 0
    assert "a Binding brings no request" in err


@pytest.mark.usefixtures("bound_nodes")
@pytest.mark.parametrize(
    "kind",
    [
        "podnetworks",
        "podnetworkattachments",
        "networkidentifiers",
        "podnetworkpolicies",
        "clusterpodnetworkpolicies",
    ],
)
@pytest.mark.parametrize("verb", ["create", "update", "patch", "delete"])
def test_a_node_changes_no_network(cluster: Cluster, kind: str, verb: str) -> None:
    node = cluster.nodes[0]
    code, out, _ = cluster.kubectl_try(
        *("auth", "can-i", verb, f"{kind}.multinet.dev"), kubeconfig=cluster.node_kubeconfig(node)
    )
    assert (code, out.strip()) == (1, "no")


@pytest.mark.usefixtures("bound_nodes")
def test_tunnels_end_where_the_admin_says(cluster: Cluster) -> None:
    node = cluster.nodes[0]

    def publish(*addresses: str) -> str:
        thing = peer(node) | {"underlayIPs": list(addresses), "podNetworkName": "tunnels"}
        thing["metadata"]["name"] = f"tunnels.{node}"
        code, err = write(cluster, node, "create", thing, "--dry-run=server")
        assert (code == 0) == (err == "")
        return err

    assert publish("203.0.113.66") == "", "nobody said where"
    ranges = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "multinet-underlay", "namespace": "multinet-system"},
        "data": {"ranges": "10.90.0.0/24, fd90::/64"},
    }
    cluster.apply(json.dumps(ranges))
    try:
        cluster.wait(lambda: publish("203.0.113.66") != "", 20, "the ranges to be in force")
        refused = publish("10.90.0.12", "203.0.113.66")
        assert (
            "underlayIPs: 10.90.0.12, 203.0.113.66 must lie in 10.90.0.0/24, fd90::/64" in refused
        )
        assert "multinet-underlay" in publish("fd91::12")
        assert publish("10.90.0.12", "fd90::12") == ""
        ranges["data"] = {"range": "0.0.0.0/0"}
        cluster.apply(json.dumps(ranges))
        cluster.wait(lambda: publish("10.90.0.12") != "", 20, "what says no range to let none pass")
    finally:
        cluster.delete("configmap", "multinet-underlay", "multinet-system")


TENANT = "tenant"
# No agent of that name is there to put its objects right.
ELSEWHERE = "elsewhere"
# Slices of policies are nobody else's to write, an administrator's neither.
AS_THE_CONTROLLER = (
    "--as=system:serviceaccount:multinet-system:multinet-controller",
    "--as-group=system:masters",
)


def of_others() -> dict[str, dict[str, Any]]:
    """One object of each of our kinds, by plural: of another node, or of a tenant."""
    node = ELSEWHERE
    theirs = interface_set(node)
    theirs["metadata"]["namespace"] = TENANT
    # Its owner is no pod of this cluster: the collector would take it.
    del theirs["metadata"]["ownerReferences"]
    other_peer = peer(node) | {"podNetworkName": "theirs"}
    other_peer["metadata"]["name"] = f"theirs.{node}"
    identifier = {
        "apiVersion": API,
        "kind": "NetworkIdentifier",
        "metadata": {"name": "vxlan-7777"},
        "spec": {"kind": "VXLAN", "id": 7777, "podNetworkName": "theirs", "podNetworkUID": "u7"},
    }
    return {
        "podnetworks": json.loads(vxlan("theirs", "10.33.0.0/16")),
        "podnetworkattachments": json.loads(attachment("way", TENANT, "theirs")),
        "podinterfacesets": theirs,
        "networkpeers": other_peer,
        "nodenetworksets": node_set(node),
        "ipblocks": block("10.33.0.64", node),
        "networkidentifiers": identifier,
        "podnetworkservices": json.loads(service("web", TENANT, "theirs")),
        "podnetworkpolicies": json.loads(policy("web", TENANT, "theirs")),
        "clusterpodnetworkpolicies": json.loads(cluster_policy("guard", "theirs")),
        "podnetworkpolicyslices": policy_slice("web-12345678", TENANT, "theirs"),
    }


@pytest.fixture(scope="module")
def theirs(cluster: Cluster, bound_nodes: None) -> Iterator[dict[str, dict[str, Any]]]:
    """They are there: a refusal says nothing of a name that is taken, or free."""
    objects = of_others()
    cluster.kubectl("create", "namespace", TENANT)
    try:
        for thing in objects.values():
            cluster.kubectl("apply", "-f", "-", *AS_THE_CONTROLLER, stdin=json.dumps(thing))
        yield objects
    finally:
        for plural, thing in objects.items():
            where = thing["metadata"].get("namespace", "")
            name = thing["metadata"]["name"]
            cluster.delete(f"{plural}.multinet.dev", name, where, *AS_THE_CONTROLLER)
        cluster.kubectl("delete", "namespace", TENANT, "--wait=false")


def test_every_kind_has_an_object_of_others() -> None:
    kinds = {path.stem for path in (REPOSITORY / "crds").glob("*.yaml")} - {"kustomization"}
    assert kinds == set(of_others())


WRITES = ["create", "replace", "patch", "status", "delete", "delete-all"]


@pytest.mark.parametrize("plural", sorted(of_others()))
@pytest.mark.parametrize("verb", WRITES)
def test_what_is_others_stays_as_it_is(
    cluster: Cluster, theirs: dict[str, dict[str, Any]], plural: str, verb: str
) -> None:
    """Each write that there is, with the credentials of a node, on an object that isn't its own. It is
    refused as what it is: not because the name is taken, or the object malformed."""
    thing = copy.deepcopy(theirs[plural])
    name, space = thing["metadata"]["name"], thing["metadata"].get("namespace", "")
    kind = f"{plural}.multinet.dev"
    where = ["-n", space] if space else []
    before = cluster.json(kind, name, space)
    labels = json.dumps({"metadata": {"labels": {"stolen": "yes"}}})
    arguments: dict[str, list[str]] = {
        "create": ["create", "-f", "-"],
        "replace": ["replace", "-f", "-"],
        "patch": ["patch", kind, name, *where, "--type=merge", "-p", labels],
        "status": ["replace", "--subresource=status", "-f", "-"],
        "delete": ["delete", kind, name, *where, "--wait=false"],
        "delete-all": ["delete", "--raw", collection(plural, space)],
    }
    if verb == "create":
        rename(plural, thing)
    elif verb in ("replace", "status"):
        thing = copy.deepcopy(before)
        thing["metadata"]["labels"] = {"stolen": "yes"}
    code, out, err = cluster.kubectl_try(
        *arguments[verb],
        stdin=json.dumps(thing),
        kubeconfig=cluster.node_kubeconfig(cluster.nodes[0]),
    )
    assert code != 0, out
    # A kind without the subresource has no such path.
    without_status = "could not find the requested resource" in err or "NotFound" in err
    assert "orbidden" in err or "itself only" in err or (verb == "status" and without_status), err
    assert cluster.json(kind, name, space) == before


def collection(plural: str, space: str) -> str:
    return f"/apis/{API}/" + (f"namespaces/{space}/" if space else "") + plural


def rename(plural: str, thing: dict[str, Any]) -> None:
    """Another object of the same owner, which isn't there yet."""
    renamed: dict[str, Callable[[dict[str, Any]], None]] = {
        "networkpeers": both(
            named(f"more.{thing.get('nodeName')}"), lambda it: it.update(podNetworkName="more")
        ),
        "podinterfacesets": both(named("db-12345678"), lambda it: it["pod"].update(name="db")),
        "ipblocks": both(named("blue-v4-0a2100c0-26"), with_cidr("10.33.0.192/26")),
        "networkidentifiers": both(named("vxlan-7778"), lambda it: it["spec"].update(id=7778)),
        "nodenetworksets": both(named("more"), lambda it: it["spec"].update(nodeName="more")),
    }
    renamed.get(plural, named("more"))(thing)
