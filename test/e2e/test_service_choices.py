"""Which endpoint of a service on a network a client is given: by an affinity, by zone and by node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from e2elib.cluster import Cluster
from e2elib.networks import Networks
from e2elib.objects import service, vxlan
from e2elib.pods import pod
from e2elib.shop import PROBE, SERVE, Shop, page_of, workload

ZONE = "topology.kubernetes.io/zone"


@pytest.fixture
def shop(deployed: Cluster, networks: Networks, namespace: str) -> Iterator[Shop]:
    networks.add_ready(vxlan("stage", "10.66.0.0/24", "fd00:66::/64"))
    yield Shop(deployed, namespace)


def test_with_an_affinity_a_pod_keeps_its_endpoint(shop: Shop) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    cluster.apply(workload("Deployment", "web", namespace, "stage", 3))
    clients = {f"client-{node}": node for node in cluster.nodes[:2]}
    for name, node in clients.items():
        cluster.apply(pod(name, namespace, node=node, networks="stage"))
        cluster.wait_pod_ready(name, namespace)
    shop.rolled_out("deployment/web")
    cluster.apply(service("web", namespace, "stage", clusterIP=None, sessionAffinity="ClientIP"))
    shop.wait_reason("web", "Available", "Endpoints")
    made = cluster.json("service", "web", namespace)["spec"]
    assert made["sessionAffinity"] == "ClientIP"
    assert made["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}
    url = f"http://{made['clusterIP']}/"

    def served() -> bool:
        return page_of(shop, name, url).startswith("web-")

    def one_of(client: str) -> str:
        seen = {page_of(shop, client, url) for _ in range(10)}
        assert len(seen) == 1, f"{client} was sent to {sorted(seen)}"
        return seen.pop()

    had = {}
    for name in clients:
        cluster.wait(served, 20, f"{name} to be served")
        had[name] = one_of(name)
    # The next agent knows it too.
    for name, node in clients.items():
        mark = len(cluster.log(node, "agent"))
        cluster.kill(node, "agent")

        def adopted() -> bool:
            return "translating services on networks" in cluster.log(node, "agent")[mark:]

        cluster.wait(adopted, 30, "the next agent to take over")
        assert one_of(name) == had[name]
    # It goes: another, and that one from then on.
    name, gone = next(iter(had.items()))
    cluster.pod_run(namespace, gone, "rm", "/tmp/ready")

    def elsewhere() -> bool:
        got = page_of(shop, name, url)
        assert got.startswith("web-") and got != gone, got
        return True

    cluster.wait(elsewhere, 20, f"{name} to be sent elsewhere")
    assert one_of(name) != gone
    # Without it each endpoint is reached.
    cluster.apply(service("web", namespace, "stage", clusterIP=None))
    cluster.pod_run(namespace, gone, "touch", "/tmp/ready")

    def every() -> bool:
        seen = {page_of(shop, name, url) for _ in range(16)}
        assert len(seen) == 3, seen
        return True

    cluster.wait(every, 30, "each endpoint to be reached")


@pytest.fixture
def zones(deployed: Cluster) -> Iterator[list[str]]:
    """Two nodes that are in zones of their own, zone-0 and zone-1."""
    nodes = deployed.nodes[:2]
    for number, node in enumerate(nodes):
        deployed.kubectl("label", "--overwrite", "node", node, f"{ZONE}=zone-{number}")
    yield nodes
    for node in nodes:
        deployed.kubectl("label", "node", node, f"{ZONE}-")


def test_clients_are_given_endpoints_of_their_zone_or_node(shop: Shop, zones: list[str]) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    servers = {f"web-{number}": node for number, node in enumerate(zones)}
    for name, node in servers.items():
        told = json.loads(
            pod(name, namespace, node=node, networks="stage", script=SERVE, labels={"app": "web"})
        )
        told["spec"]["containers"][0]["readinessProbe"] = PROBE
        cluster.apply(json.dumps(told))
        cluster.apply(pod(f"client-{node}", namespace, node=node, networks="stage"))

    def distributed(how: str | None) -> str:
        made = service("web", namespace, "stage", clusterIP=None, trafficDistribution=how)
        cluster.apply(made)
        shop.wait_reason("web", "Available", "Endpoints")
        return str(cluster.json("service", "web", namespace)["spec"]["clusterIP"])

    def hints() -> dict[str, tuple[str, Any]]:
        return {
            one["targetRef"]["name"]
            + " "
            + part["addressType"]: (
                one.get("zone", ""),
                one.get("hints"),
            )
            for part in shop.slices("web")
            for one in part.get("endpoints") or []
        }

    def reached(node: str) -> set[str]:
        return {page_of(shop, f"client-{node}", url) for _ in range(24)}

    def expect(wanted: dict[str, set[str]], why: str) -> None:
        def right() -> bool:
            for node, names in wanted.items():
                got = reached(node)
                assert got == names, f"from {node}: {sorted(got)}, not {sorted(names)}"
            return True

        cluster.wait(right, 40, why)

    for name in (*servers, *(f"client-{node}" for node in zones)):
        cluster.wait_pod_ready(name, namespace)
    own = {node: {name} for name, node in servers.items()}
    every = {node: set(servers) for node in zones}
    url = f"http://{distributed('PreferSameZone')}/"
    expect(own, "each node's clients to have their zone's endpoint")
    for name, told in hints().items():
        zone = f"zone-{name[4]}"
        assert told == (zone, {"forZones": [{"name": zone}]}), f"{name}: {told}"

    # Its zone has none: others.
    cluster.pod_run(namespace, "web-0", "rm", "/tmp/ready")
    expect({node: {"web-1"} for node in zones}, "the other zone's endpoint to be used")
    cluster.pod_run(namespace, "web-0", "touch", "/tmp/ready")
    expect(own, "their zone's endpoint again")

    # Both in one zone: all are near. On one's own node is nearer.
    cluster.kubectl("label", "--overwrite", "node", zones[1], f"{ZONE}=zone-0")
    expect(every, "both endpoints to be used in one zone")
    distributed("PreferSameNode")
    expect(own, "each node's clients to have their node's endpoint")
    assert {one[1]["forNodes"][0]["name"] for one in hints().values()} == set(zones)
    distributed(None)
    expect(every, "both endpoints to be used without a word")
    assert {one[1] for one in hints().values()} == {None}
