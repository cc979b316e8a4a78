"""Macvlan and bridges with an uplink on the nodes' free interfaces; what a PodNetworkAttachment says
of name, MTU, routes and default gateway is so inside the pod, and the API tells it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from e2elib.checks import COUNTED_WITHIN, assert_clean
from e2elib.cluster import Cluster
from e2elib.objects import (
    address,
    attachment,
    interface,
    interface_sets,
    macvlan,
    network,
    together,
    wait_ready,
)
from e2elib.pods import pod

NAMESPACE = "attachments"
SERVE = "mkdir /w && hostname > /w/index.html && exec httpd -f -p 8080 -h /w"
ROUTER_V4, ROUTER_V6 = "192.168.7.1", "fd00:7::1"
# Addresses that only the router on lan1 has, far from all that the cluster knows.
OUTSIDE_V4, OUTSIDE_V6 = "198.51.100.1", "2001:db8:100::1"
FAMILIES = ["IPv4", "IPv6"]


def lan() -> str:
    """Macvlan on eth1: the wire lan1, with a router that the control plane's machine plays."""
    subnets = [
        {"cidr": "192.168.7.0/24", "gateway": ROUTER_V4, "exclude": ["192.168.7.0/28"]},
        {"cidr": "fd00:7::/64", "gateway": ROUTER_V6},
    ]
    return macvlan(
        "lan",
        "eth1",
        mtu=1500,
        ipam={"subnets": subnets},
        routes=[{"to": "172.30.0.0/16", "via": ROUTER_V4}],
        allow={"defaultGateway": True, "routes": True},
    )


class Lan:
    """Four pods: `near` and `out` on one node, `far` and `late` on the other."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def run(self, pod_name: str, *command: str) -> str:
        return self.cluster.pod_run(NAMESPACE, pod_name, *command)

    def told(self, pod_name: str, name: str) -> dict:
        return interface(self.cluster, NAMESPACE, pod_name, name)

    def device(self, pod_name: str, to: str) -> str:
        """The interface by which the pod's packets to an address leave."""
        words = self.run(pod_name, "ip", "route", "get", to).split()
        return words[words.index("dev") + 1]


def _router(cluster: Cluster, verb: str) -> None:
    for one in (f"{ROUTER_V4}/24", f"{OUTSIDE_V4}/32"):
        cluster.node_exec("cp", "ip", "address", verb, one, "dev", "lan1")
    for one in (f"{ROUTER_V6}/64", f"{OUTSIDE_V6}/128"):
        # `nodad` isn't a word of `del`.
        more = ["nodad"] if verb == "add" else []
        cluster.node_exec("cp", "ip", "address", verb, one, "dev", "lan1", *more)


@pytest.fixture(scope="module")
def pods(deployed: Cluster) -> Iterator[Lan]:
    here, there = deployed.nodes
    objects = together(
        lan(),
        network(
            "wire", "10.71.0.0/24", "fd00:71::/64", bridge={"name": "br-wire", "uplink": "eth2"}
        ),
        attachment(
            "nas",
            NAMESPACE,
            "lan",
            interfaceName="san0",
            mtu=1400,
            routes=[
                {"to": "172.20.0.0/16", "via": ROUTER_V4},
                {"to": "fd00:99::/64", "via": ROUTER_V6},
                {"to": "172.21.0.0/24"},
            ],
        ),
        attachment("out", NAMESPACE, "lan", defaultGateway="Dual"),
        attachment("out6", NAMESPACE, "lan", defaultGateway="IPv6"),
    )
    probe = {"httpGet": {"port": 8080, "path": "/"}, "periodSeconds": 1}
    serving = {
        "containers": [
            {
                "name": "main",
                "image": "multinet.dev/busybox:dev",
                "imagePullPolicy": "Never",
                "command": ["/bin/sh", "-c", SERVE],
                "readinessProbe": probe,
            }
        ]
    }
    requests = {
        "near": (here, "attachment/nas, wire"),
        "far": (there, "lan, wire"),
        "out": (here, "attachment/out"),
        "late": (there, "attachment/out6, wire"),
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "far", "namespace": NAMESPACE},
        "spec": {
            "selector": {"pod": "far"},
            "ports": [{"port": 80, "targetPort": 8080}],
            "ipFamilyPolicy": "PreferDualStack",
        },
    }
    deployed.kubectl("create", "namespace", NAMESPACE)
    _router(deployed, "add")
    try:
        deployed.apply(objects)
        wait_ready(deployed, "lan", "wire")
        made = [
            pod(name, NAMESPACE, node=node, networks=text, labels={"pod": name}, spec=serving)
            for name, (node, text) in requests.items()
        ]
        deployed.apply(together(json.dumps(service), *made))
        for name in requests:
            deployed.wait_pod_ready(name, NAMESPACE)
        yield Lan(deployed)
    finally:
        deployed.kubectl("delete", "namespace", NAMESPACE, "--timeout=55s")
        deployed.kubectl("delete", "--timeout=50s", "podnetwork", "lan", "wire")
        _router(deployed, "del")


def test_the_interface_is_what_the_attachment_says(pods: Lan) -> None:
    told = pods.told("near", "san0")
    assert (told["podNetworkName"], told["attachmentName"]) == ("lan", "nas")
    assert (told["type"], told["mtu"], told["linkState"]) == ("Macvlan", 1400, "Up")
    link = pods.run("near", "ip", "-o", "link", "show", "san0")
    assert "mtu 1400 " in link
    assert told["mac"] in link
    addresses = pods.run("near", "ip", "-o", "addr", "show", "san0")
    assert {one["family"] for one in told["ips"]} == set(FAMILIES)
    for one in told["ips"]:
        assert f" {one['address']} " in addresses
    assert {one.get("gateway") for one in told["ips"]} == {ROUTER_V4, ROUTER_V6}


def test_routes_are_the_attachments_and_the_networks(pods: Lan) -> None:
    wanted = {
        ("172.20.0.0/16", ROUTER_V4),
        ("fd00:99::/64", ROUTER_V6),
        ("172.21.0.0/24", None),
        ("172.30.0.0/16", ROUTER_V4),
    }
    told = pods.told("near", "san0")["routes"]
    assert {(route["to"], route.get("via")) for route in told} == wanted
    lines = [
        line.split()
        for family in ("-4", "-6")
        for line in pods.run("near", "ip", family, "route", "show", "dev", "san0").splitlines()
    ]
    for to, via in wanted:
        # In the main table, and in the interface's own where it has a gateway.
        found = [words for words in lines if words[0] == to]
        assert found, to
        for line in found:
            assert (line[line.index("via") + 1] if "via" in line else None) == via
    # The default route is still the cluster's own.
    assert pods.device("near", OUTSIDE_V4) == "eth0"
    assert pods.device("near", OUTSIDE_V6) == "eth0"


def test_one_network_by_name_and_by_attachment_differ_as_asked(pods: Lan) -> None:
    told = pods.told("far", "net1")
    assert told["podNetworkName"] == "lan"
    assert "attachmentName" not in told
    assert told["mtu"] == 1500
    assert {route["to"] for route in told["routes"]} == {"172.30.0.0/16"}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("one", "other", "mtu"),
    [("san0", "net1", 1400), ("net2", "net2", 1500)],
    ids=["macvlan", "bridge"],
)
def test_pods_of_two_nodes_reach_each_other(
    pods: Lan, one: str, other: str, mtu: int, family: str
) -> None:
    to = address(pods.told("far", other), family)
    assert pods.device("near", to) == one
    full = mtu - (28 if family == "IPv4" else 48)
    said = pods.run("near", "ping", "-c", "3", "-w", "10", "-s", str(full), to)
    assert "0% packet loss" in said
    host = to if family == "IPv4" else f"[{to}]"
    assert pods.run("near", "wget", "-q", "-O-", f"http://{host}:8080/").strip() == "far"


def test_the_default_route_moves_to_the_network(pods: Lan) -> None:
    told = pods.told("out", "net1")
    assert told["defaultGateway"] == "Dual"
    for outside in (OUTSIDE_V4, OUTSIDE_V6):
        assert pods.device("out", outside) == "net1"
        assert "0% packet loss" in pods.run("out", "ping", "-c", "2", "-w", "10", outside)


def test_ways_to_the_cluster_stay_on_eth0(pods: Lan) -> None:
    """With the default route elsewhere: DNS, Services by both families, pods and nodes."""
    cluster = pods.cluster
    assert "Address" in pods.run("out", "nslookup", "kubernetes.default.svc.cluster.local")
    service = cluster.json("service", "far", NAMESPACE)["spec"]["clusterIPs"]
    assert len(service) == 2
    far = cluster.json("pod", "far", NAMESPACE)["status"]
    targets = [(one, 80) for one in service] + [(one["ip"], 8080) for one in far["podIPs"]]
    for to, port in targets:
        assert pods.device("out", to) == "eth0"
        host = f"[{to}]" if ":" in to else to
        got = pods.run("out", "wget", "-q", "-O-", f"http://{host}:{port}/")
        assert got.strip() == "far"
    for node in cluster.items("nodes"):
        for entry in node["status"]["addresses"]:
            if entry["type"] != "InternalIP":
                continue
            assert pods.device("out", entry["address"]) == "eth0"
            pods.run("out", "ping", "-c", "1", "-w", "10", entry["address"])


def test_the_nodes_own_addresses_stay_on_eth0(pods: Lan) -> None:
    """Link-local ones are no router's to forward: a DNS cache of the node, a cloud's metadata."""
    local = "169.254.20.10"
    node = pods.cluster.nodes[0]
    pods.cluster.node_exec(node, "ip", "address", "add", f"{local}/32", "dev", "lo")
    try:
        assert pods.device("out", local) == "eth0"
        assert "0% packet loss" in pods.run("out", "ping", "-c", "2", "-w", "10", local)
    finally:
        pods.cluster.node_exec(node, "ip", "address", "del", f"{local}/32", "dev", "lo")


def test_a_range_of_services_that_is_added_reaches_pods_that_run(pods: Lan) -> None:
    cluster = pods.cluster
    added = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "added"},
        "spec": {"cidrs": ["10.93.0.0/24"]},
    }
    cluster.apply(json.dumps(added))
    spec = {"clusterIP": "10.93.0.10", "selector": {"pod": "far"}}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "added", "namespace": NAMESPACE},
        "spec": spec | {"ports": [{"port": 80, "targetPort": 8080}]},
    }
    try:
        cluster.wait(lambda: cluster.apply_try(json.dumps(service))[0] == 0, 20, "the new range")

        def reached() -> bool:
            assert pods.device("out", "10.93.0.10") == "eth0"
            return pods.run("out", "wget", "-q", "-O-", "http://10.93.0.10/").strip() == "far"

        cluster.wait(reached, 40, "a pod that ran before to reach a Service of the new range")
    finally:
        cluster.delete("service", "added", NAMESPACE)
        cluster.delete("servicecidr", "added", "", "--timeout=40s")


def test_one_family_moves_alone(pods: Lan) -> None:
    assert pods.told("late", "net1")["defaultGateway"] == "IPv6"
    assert pods.device("late", OUTSIDE_V4) == "eth0"
    assert pods.device("late", OUTSIDE_V6) == "net1"
    assert "Address" in pods.run("late", "nslookup", "kubernetes.default.svc.cluster.local")


def test_attachments_count_their_pods(pods: Lan) -> None:
    def counted() -> bool:
        entries = pods.cluster.items("podnetworkattachments", NAMESPACE)
        counts = {one["metadata"]["name"]: one["status"]["attachedPods"] for one in entries}
        return counts == {"nas": 1, "out": 1, "out6": 1}

    pods.cluster.wait(counted, COUNTED_WITHIN, "each attachment to count one pod")

    def all_counted() -> bool:
        return bool(pods.cluster.json("podnetwork", "lan")["status"]["attachedPods"] == 4)

    pods.cluster.wait(all_counted, COUNTED_WITHIN, "the network to count four pods")
    assert len(interface_sets(pods.cluster, NAMESPACE)) == 4


def test_nothing_leaked_and_nothing_is_double(pods: Lan) -> None:
    assert_clean(pods.cluster)
