"""Which endpoint of a service on a network a client is given."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from e2elib.cluster import Cluster
from e2elib.networks import Networks
from e2elib.objects import service, vxlan
from e2elib.pods import pod
from e2elib.shop import Shop, page_of, workload


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
    cluster.pod_exec(namespace, gone, "rm", "/tmp/ready")

    def elsewhere() -> bool:
        got = page_of(shop, name, url)
        assert got.startswith("web-") and got != gone, got
        return True

    cluster.wait(elsewhere, 20, f"{name} to be sent elsewhere")
    assert one_of(name) != gone
    # Without it each endpoint is reached.
    cluster.apply(service("web", namespace, "stage", clusterIP=None))
    cluster.pod_exec(namespace, gone, "touch", "/tmp/ready")

    def every() -> bool:
        seen = {page_of(shop, name, url) for _ in range(16)}
        assert len(seen) == 3, seen
        return True

    cluster.wait(every, 30, "each endpoint to be reached")
