"""The CRDs alone, without webhook and controller: static rules hold in the API server itself, and each
refusal names the field and says what is wrong."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from e2elib.cluster import REPOSITORY, Cluster, condition

CRDS = REPOSITORY / "crds"
API = "multinet.dev/v1alpha1"
SUBNET = {"cidr": "10.20.0.0/16", "gateway": "10.20.0.1"}


@pytest.fixture(scope="module")
def crds(cluster: Cluster) -> None:
    cluster.kubectl("apply", "--server-side", "-k", str(CRDS))

    def established() -> bool:
        ours = [e for e in cluster.items("crds") if e["spec"]["group"] == "multinet.dev"]
        assert ours, "no CRD of multinet.dev"
        return all(condition(entry, "Established") == "True" for entry in ours)

    cluster.wait(established, 20, "the CRDs to be established")


def network(**changes: Any) -> dict[str, Any]:
    """A good VXLAN network with some of its spec replaced; None removes."""
    spec: dict[str, Any] = {"type": "VXLAN", "vxlan": {"vni": 7001}, "ipam": {"subnets": [SUBNET]}}
    spec |= changes
    return {
        "apiVersion": API,
        "kind": "PodNetwork",
        "metadata": {"name": "try-out"},
        "spec": {key: value for key, value in spec.items() if value is not None},
    }


def subnets(*entries: dict[str, Any]) -> dict[str, Any]:
    return network(ipam={"subnets": list(entries)})


def attachment(**changes: Any) -> dict[str, Any]:
    return {
        "apiVersion": API,
        "kind": "PodNetworkAttachment",
        "metadata": {"name": "try-out", "namespace": "default"},
        "spec": {"podNetworkName": "blue"} | changes,
    }


def named(name: str) -> dict[str, Any]:
    return network() | {"metadata": {"name": name}}


def try_out(cluster: Cluster, thing: dict[str, Any], *more: str) -> tuple[int, str]:
    """Whether the server would take it, without keeping it."""
    code, _, err = cluster.kubectl_try(
        "create", "--dry-run=server", "-f", "-", *more, stdin=json.dumps(thing)
    )
    return code, err


NET, ONE = "spec.ipam.subnets", "spec.ipam.subnets[0]"
BAD = {
    "name with a dot": (named("a.b"), "a.b", "with no dot"),
    "type unknown": (network(type="Token"), "spec.type", "Token"),
    "union member missing": (
        network(type="Bridge", vxlan=None), "spec.bridge", "type Bridge needs spec.bridge"
    ),
    "union member of another type": (network(bridge={}), "spec.bridge", "the type is VXLAN"),
    "VNI zero": (network(vxlan={"vni": 0}), "spec.vxlan.vni", "0"),
    "VNI of 25 bits": (network(vxlan={"vni": 1 << 24}), "spec.vxlan.vni", "16777216"),
    "port of the system": (network(vxlan={"port": 53}), "spec.vxlan.port", "1024"),
    "underlay lo": (network(vxlan={"underlay": {"interface": "lo"}}), "underlay.interface", "loopback"),
    "CIDR nonsense": (subnets({"cidr": "10.20/16"}), f"{ONE}.cidr", "10.20/16 is no prefix"),
    "CIDR host bits": (subnets({"cidr": "10.20.0.1/16"}), f"{ONE}.cidr", "10.20.0.1/16 has host bits set"),
    "CIDR host bits v6": (subnets({"cidr": "fd00:20::1/64"}), f"{ONE}.cidr", "fd00:20::1/64 has host bits set"),
    "CIDR loopback": (subnets({"cidr": "127.0.0.0/8"}), f"{ONE}.cidr", "127.0.0.0/8"),
    "CIDR multicast": (subnets({"cidr": "224.0.0.0/8"}), f"{ONE}.cidr", "224.0.0.0/8"),
    "CIDR link-local": (subnets({"cidr": "169.254.0.0/16"}), f"{ONE}.cidr", "169.254.0.0/16"),
    "CIDR link-local v6": (subnets({"cidr": "fe80::/64"}), f"{ONE}.cidr", "fe80::/64"),
    "subnets overlap": (subnets(SUBNET, {"cidr": "10.20.128.0/17"}), NET, "overlap"),
    "subnet twice": (subnets(SUBNET, SUBNET), NET, ""),
    "gateway outside": (subnets(SUBNET | {"gateway": "10.21.0.1"}), f"{ONE}.gateway", "lies outside"),
    "gateway network address": (subnets(SUBNET | {"gateway": "10.20.0.0"}), f"{ONE}.gateway", "first"),
    "gateway nonsense": (subnets(SUBNET | {"gateway": "one"}), f"{ONE}.gateway", "one is no address"),
    "exclude outside": (subnets(SUBNET | {"exclude": ["10.21.0.0/28"]}), f"{ONE}.exclude", "inside"),
    "exclude host bits": (subnets(SUBNET | {"exclude": ["10.20.0.1/28"]}), f"{ONE}.exclude", "host bits"),
    "blockSize above the prefix": (subnets(SUBNET | {"blockSize": 8}), f"{ONE}.blockSize", "10.20.0.0/16"),
    "blockSize of IPv6": (subnets(SUBNET | {"blockSize": 64}), f"{ONE}.blockSize", "32"),
    "MTU too small": (network(mtu=500), "spec.mtu", "500"),
    "MTU too small for IPv6": (
        network(mtu=1000, ipam={"subnets": [{"cidr": "fd00:20::/64"}]}), "spec.mtu", "1280"
    ),
    "MTU too large": (network(mtu=65500), "spec.mtu", "65485"),
    "route families mixed": (
        network(routes=[{"to": "192.168.0.0/16", "via": "fd00:20::1"}]), "spec.routes[0].via", "fd00:20::1"
    ),
    "route host bits": (
        network(routes=[{"to": "192.168.0.1/16"}]), "spec.routes[0].to", "192.168.0.1/16 has host bits set"
    ),
    "default route": (network(routes=[{"to": "0.0.0.0/0"}]), "spec.routes[0].to", "defaultGateway"),
    "selector without from": (
        network(access={"namespaces": {"from": "All", "selector": {}}}),
        "spec.access.namespaces.selector",
        "go together",
    ),
    "interface eth0": (attachment(interfaceName="eth0"), "spec.interfaceName", "eth0"),
    "interface lo": (attachment(interfaceName="lo"), "spec.interfaceName", "lo"),
    "interface all": (attachment(interfaceName="all"), "spec.interfaceName", "all"),
    "interface of 16 bytes": (attachment(interfaceName="a" * 16), "spec.interfaceName", "15"),
    "interface with a slash": (attachment(interfaceName="a/b"), "spec.interfaceName", "a/b"),
    "interface with a percent": (attachment(interfaceName="a%d"), "spec.interfaceName", "a%d"),
    "interface with a star": (attachment(interfaceName="net*"), "spec.interfaceName", "net*"),
    "interface with a quote": (attachment(interfaceName='a"b'), "spec.interfaceName", "a"),
    "interface with a space": (attachment(interfaceName="a b"), "spec.interfaceName", "a b"),
    "attachment route families mixed": (
        attachment(routes=[{"to": "fd00:9::/64", "via": "10.20.0.1"}]), "spec.routes[0].via", "10.20.0.1"
    ),
}  # fmt: skip


@pytest.mark.usefixtures("crds")
@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_by_the_schema(cluster: Cluster, what: str) -> None:
    thing, field, says = BAD[what]
    code, err = try_out(cluster, thing)
    assert code != 0, f"{what} was taken"
    assert field in err, err
    assert says in err, err


@pytest.mark.usefixtures("crds")
@pytest.mark.parametrize(
    "thing", [network(), subnets(SUBNET, {"cidr": "fd00:20::/64"}), attachment()]
)
def test_good_input_is_taken(cluster: Cluster, thing: dict[str, Any]) -> None:
    assert try_out(cluster, thing) == (0, "")


@pytest.mark.usefixtures("crds")
def test_unknown_fields_are_told(cluster: Cluster) -> None:
    code, err = try_out(cluster, network(mut=1400))
    assert code != 0
    assert 'unknown field "spec.mut"' in err


@pytest.mark.usefixtures("crds")
def test_all_examples_are_taken(cluster: Cluster) -> None:
    cluster.kubectl("apply", "--dry-run=server", "-k", str(CRDS / "examples"))


@pytest.mark.usefixtures("crds")
def test_what_is_immutable_never_changes(cluster: Cluster) -> None:
    good = network()
    cluster.apply(json.dumps(good))
    try:
        for change, says in (
            ({"vxlan": {"vni": 7002}}, "spec.vxlan"),
            ({"type": "Bridge", "vxlan": None, "bridge": {}}, "spec.type"),
            ({"ipam": {"subnets": [{"cidr": "10.21.0.0/16"}]}}, "status.removableSubnets"),
            ({"ipam": {"subnets": []}}, "status.removableSubnets"),
        ):
            changed = copy.deepcopy(good)
            changed["spec"] = network(**change)["spec"]
            code, _, err = cluster.kubectl_try("replace", "-f", "-", stdin=json.dumps(changed))
            assert code != 0, change
            assert says in err, err
        more = network(ipam={"subnets": [SUBNET, {"cidr": "10.21.0.0/16"}]})
        cluster.apply(json.dumps(more))
    finally:
        cluster.delete("podnetwork", "try-out")
