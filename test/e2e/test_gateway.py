"""Clients who aren't on a network reach its services by the gateways of nodes: NodePorts, addresses of load
balancers, reach: Cluster."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from e2elib.cluster import Cluster, condition
from e2elib.networks import Networks
from e2elib.objects import macvlan, service, vxlan
from e2elib.places import node_place
from e2elib.shop import Shop, page_of, workload

BALANCED = "192.0.2.80"  # an address that no node has
REBUILT_WITHIN = 40


@pytest.fixture
def shop(deployed: Cluster, networks: Networks, namespace: str) -> Iterator[Shop]:
    networks.add_ready(vxlan("stage", "10.66.0.0/24", "fd00:66::/64"))
    yield Shop(deployed, namespace)


def node_address(cluster: Cluster, node: str) -> str:
    addresses = cluster.json("node", node)["status"]["addresses"]
    return next(one["address"] for one in addresses if one["type"] == "InternalIP")


def node_port(shop: Shop, name: str) -> int:
    def told() -> int:
        return shop.cluster.json("service", name, shop.namespace)["spec"]["ports"][0]["nodePort"]

    return shop.cluster.wait(told, 20, f"service {name} to have a nodePort")


def from_outside(cluster: Cluster, url: str) -> str:
    """What a machine of the cluster's wire gets that is no node: the one with the control plane."""
    code, out, err = cluster.node_exec_try("cp", "curl", "-s", "--max-time", "5", url)
    return out.strip() if code == 0 else f"failed: {code} {err.strip()}"


def answered(ask: Callable[[], str]) -> Callable[[], bool]:
    def is_answered() -> bool:
        got = ask()
        assert got.startswith("web-"), got
        return True

    return is_answered


def serve(shop: Shop, replicas: int = 2, **spec: Any) -> None:
    shop.cluster.apply(workload("Deployment", "web", shop.namespace, "stage", replicas))
    shop.rolled_out("deployment/web")
    shop.cluster.apply(service("web", shop.namespace, "stage", clusterIP=None, **spec))
    shop.wait_reason("web", "Available", "Endpoints")


def test_a_node_port_is_served_by_each_node(shop: Shop) -> None:
    cluster = shop.cluster
    serve(shop, type="NodePort")
    port = node_port(shop, "web")
    for node in cluster.nodes[:2]:
        url = f"http://{node_address(cluster, node)}:{port}/"
        cluster.wait(answered(lambda url=url: page_of(shop, "asker", url)), 60, f"{url} from a pod")
        cluster.wait(
            answered(lambda url=url: from_outside(cluster, url)), 30, f"{url} from outside"
        )
        assert condition(cluster.json("nodenetworkset", node), "Gateway") == "True"
    # All endpoints have their turn.
    url = f"http://{node_address(cluster, cluster.nodes[0])}:{port}/"
    seen = {page_of(shop, "asker", url) for _ in range(24)}
    assert len(seen) == 2, seen


def test_what_an_agent_made_serves_while_it_is_dead_and_comes_back(shop: Shop) -> None:
    cluster = shop.cluster
    serve(shop, type="NodePort")
    # Commands in the asking pod go by its own node's agent.
    asker = cluster.json("pod", "asker", shop.namespace)["spec"]["nodeName"]
    node = next(one for one in cluster.nodes[:2] if one != asker)
    url = f"http://{node_address(cluster, node)}:{node_port(shop, 'web')}/"
    cluster.wait(answered(lambda: page_of(shop, "asker", url)), 60, f"{url} to be served")
    cluster.kill_for_good(node, "agent")
    try:
        for _ in range(8):
            assert page_of(shop, "asker", url).startswith("web-")
    finally:
        cluster.start(node, "agent")
    for _ in range(20):
        assert page_of(shop, "asker", url).startswith("web-"), "while the next one takes over"
    # Somebody takes away what there is, one after the other.
    place = node_place(cluster, node)
    pair = next(one["ifname"] for one in place.links() if one["ifname"].startswith("mng"))
    place.ip("link", "delete", pair)
    cluster.wait(answered(lambda: page_of(shop, "asker", url)), REBUILT_WITHIN, "the pair again")
    place.run("nft", "delete", "table", "inet", "multinet_services")
    cluster.wait(answered(lambda: page_of(shop, "asker", url)), REBUILT_WITHIN, "rules again")
    kept = place.run("sh", "-c", "ls -d /run/multinet/gateways/*").split()
    assert len(kept) == 1, kept
    place.run("umount", "-l", kept[0])
    place.run("rm", "-f", kept[0])
    cluster.restart_agent(node)
    cluster.wait(
        answered(lambda: page_of(shop, "asker", url)), REBUILT_WITHIN, "the namespace again"
    )


def test_a_cluster_ip_is_for_the_network_unless_it_says_otherwise(shop: Shop) -> None:
    cluster = shop.cluster
    serve(shop)
    address = cluster.json("service", "web", shop.namespace)["spec"]["clusterIP"]
    url = f"http://{address}/"

    def refused() -> bool:
        got = page_of(shop, "asker", url)
        assert "refused" in got, got
        return True

    cluster.wait(refused, 30, "a pod without networks to be refused at once")
    cluster.apply(service("web", shop.namespace, "stage", clusterIP=None, reach="Cluster"))
    cluster.wait(answered(lambda: page_of(shop, "asker", url)), 60, "the cluster to reach it")
    node = cluster.nodes[0]
    code, out, err = cluster.node_exec_try(node, "curl", "-s", "--max-time", "5", url)
    assert out.strip().startswith("web-"), (code, out, err)
    cluster.apply(service("web", shop.namespace, "stage", clusterIP=None))
    cluster.wait(refused, 30, "and to be refused again")


def test_an_address_of_a_load_balancer_leads_in_for_those_whom_it_admits(shop: Shop) -> None:
    cluster = shop.cluster
    serve(shop, type="LoadBalancer")

    def balance(address: str) -> None:
        status = {"status": {"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}}}
        cluster.kubectl(
            "patch", "service", "web", "-n", shop.namespace, "--subresource=status",
            "--type=merge", "-p", json.dumps(status),
        )  # fmt: skip

    node_port(shop, "web")
    balance(BALANCED)
    url = f"http://{BALANCED}/"
    cluster.wait(answered(lambda: page_of(shop, "asker", url)), 60, f"{url} to be served")
    cluster.apply(
        service("web", shop.namespace, "stage", clusterIP=None, type="LoadBalancer",
                loadBalancerSourceRanges=["203.0.113.0/24"])
    )  # fmt: skip

    def shut() -> bool:
        got = page_of(shop, "asker", url)
        assert not got.startswith("web-"), got
        return True

    cluster.wait(shut, 30, "others to be kept out")


def test_local_is_served_by_nodes_with_endpoints_alone(shop: Shop) -> None:
    cluster = shop.cluster
    serve(shop, replicas=1, type="NodePort", externalTrafficPolicy="Local")
    port = node_port(shop, "web")
    pods = cluster.items("pods", shop.namespace)
    here = next(
        one["spec"]["nodeName"] for one in pods if one["metadata"]["name"].startswith("web-")
    )
    elsewhere = next(node for node in cluster.nodes[:2] if node != here)
    url = f"http://{node_address(cluster, here)}:{port}/"
    cluster.wait(answered(lambda: page_of(shop, "asker", url)), 60, "the endpoint's node to serve")
    got = page_of(shop, "asker", f"http://{node_address(cluster, elsewhere)}:{port}/")
    assert "refused" in got, got


def test_an_endpoint_that_is_not_healthy_leaves_that_service_alone(shop: Shop) -> None:
    cluster = shop.cluster
    check = {"httpGet": {"port": 8080, "path": "/healthz"}, "periodSeconds": 1,
             "failureThreshold": 2}  # fmt: skip
    cluster.apply(workload("Deployment", "web", shop.namespace, "stage", 2))
    shop.rolled_out("deployment/web")
    pods = [
        one["metadata"]["name"]
        for one in cluster.items("pods", shop.namespace)
        if one["metadata"]["name"].startswith("web-")
    ]
    cluster.pod_exec(shop.namespace, pods[0], "touch", "/tmp/healthz")
    cluster.apply(
        service("web", shop.namespace, "stage", clusterIP=None, type="NodePort", healthCheck=check)
    )
    cluster.apply(service("all", shop.namespace, "stage", clusterIP=None, selector={"app": "web"}))

    def ready(name: str, count: int) -> Callable[[], bool]:
        def counted() -> bool:
            told = [each["ready"] for each in shop.endpoints(name).values()]
            assert told.count(True) == count, told
            return True

        return counted

    # Two families each.
    cluster.wait(ready("web", 2), 60, "the one that answers to be ready")
    cluster.wait(ready("all", 4), 30, "both to be ready where nobody asks")
    url = f"http://{node_address(cluster, cluster.nodes[0])}:{node_port(shop, 'web')}/"
    cluster.wait(answered(lambda: page_of(shop, "asker", url)), 60, f"{url} to be served")
    assert {page_of(shop, "asker", url) for _ in range(12)} == {pods[0]}
    cluster.pod_exec(shop.namespace, pods[1], "touch", "/tmp/healthz")
    cluster.wait(ready("web", 4), 30, "the other to come")
    cluster.pod_exec(shop.namespace, pods[0], "rm", "/tmp/healthz")
    cluster.wait(ready("web", 2), 30, "the first to leave")
    cluster.wait(ready("all", 4), 10, "and to stay where nobody asks")


def test_a_macvlan_has_gateways_too(deployed: Cluster, networks: Networks, namespace: str) -> None:
    networks.add_ready(macvlan("stage", "eth1", "10.68.0.0/24"))
    shop = Shop(deployed, namespace)
    serve(shop, type="NodePort")
    port = node_port(shop, "web")
    for node in deployed.nodes[:2]:
        url = f"http://{node_address(deployed, node)}:{port}/"
        deployed.wait(answered(lambda url=url: page_of(shop, "asker", url)), 60, f"{url} served")
