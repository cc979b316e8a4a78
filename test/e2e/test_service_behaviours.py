"""What Kubernetes' own suite asks of a Service (test/e2e/network/service.go of 1.37), asked of one on a network. Each test
names those whose behaviour it has; docs/testing.md says where the rest of them is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from e2elib.cluster import Cluster
from e2elib.networks import Networks
from e2elib.objects import interface_sets, service, vxlan
from e2elib.places import pod_place
from e2elib.pods import pod
from e2elib.shop import SERVE, Shop, page_of

# Answers with the client's address.
WHO = """
import socket
with socket.create_server(("", 8099)) as server:
    while True:
        client, where = server.accept()
        client.sendall(where[0].encode())
        client.close()
"""
LINGER = "echo $HOSTNAME > /tmp/index.html; trap '' TERM; httpd -p 8080 -h /tmp; sleep 1000000 & wait; wait"


@pytest.fixture
def shop(deployed: Cluster, networks: Networks, namespace: str) -> Iterator[Shop]:
    networks.add_ready(vxlan("stage", "10.66.0.0/24"))
    yield Shop(deployed, namespace)


def run(shop: Shop, *names: str, ports: dict[str, int] | None = None, **more: Any) -> None:
    """Pods with app: NAME up to its first dash, Ready."""
    for name in names:
        labels = {"app": name.split("-")[0]}
        options = {"networks": "stage", "labels": labels, "script": SERVE} | more
        made = json.loads(pod(name, shop.namespace, **options))
        made["spec"]["containers"][0]["ports"] = [
            {"name": key, "containerPort": port} for key, port in (ports or {}).items()
        ]
        shop.cluster.apply(json.dumps(made))
    for name in names:
        shop.cluster.wait_pod_ready(name, shop.namespace)


def vip(shop: Shop, name: str, **spec: Any) -> str:
    """Makes a service with a ClusterIP; its address."""
    shop.cluster.apply(service(name, shop.namespace, "stage", clusterIP=None, **spec))

    def given() -> str:
        return str(shop.cluster.json("service", name, shop.namespace)["spec"]["clusterIP"])

    return shop.cluster.wait(given, 20, f"the ClusterIP of {name}")


def by_ports(shop: Shop, name: str) -> set[tuple[str, str, str, int]]:
    """Pod, port's name, protocol and number, of each endpoint that is ready."""
    return {
        (endpoint["targetRef"]["name"], port["name"], port["protocol"], port["port"])
        for one in shop.slices(name)
        for endpoint in one.get("endpoints") or []
        for port in one.get("ports") or []
        if endpoint["conditions"]["ready"]
    }


def expect(shop: Shop, name: str, wanted: set[tuple[str, str, str, int]]) -> None:
    def right() -> bool:
        got = by_ports(shop, name)
        assert got == wanted, f"{sorted(got)}, not {sorted(wanted)}"
        return True

    shop.cluster.wait(right, 30, f"the endpoints of {name}")


def reached(shop: Shop, client: str, url: str) -> Callable[[set[str]], None]:
    """Waits until exactly these pods answer, by several connections; none: it is refused."""

    def expected(wanted: set[str]) -> None:
        def right() -> bool:
            got = {page_of(shop, client, url) for _ in range(24 if wanted else 4)}
            if not wanted:
                assert all("refused" in one for one in got), got
            else:
                assert got == wanted, f"{sorted(got)}, not {sorted(wanted)}"
            return True

        shop.cluster.wait(right, 40, f"{url} to be answered by {sorted(wanted) or 'nobody'}")

    return expected


def test_endpoints_are_those_of_its_pods_and_ports(shop: Shop) -> None:
    """ "should serve a basic endpoint from pods", "should serve multiport endpoints from pods", "should serve endpoints on
    same port and different protocols"."""
    cluster, namespace = shop.cluster, shop.namespace
    ports = [
        {"name": "first", "port": 80, "targetPort": "foo"},
        {"name": "second", "port": 81, "targetPort": "bar"},
    ]
    cluster.apply(service("web", namespace, "stage", clusterIP=None, ports=ports))
    expect(shop, "web", set())
    run(shop, "web-1", ports={"foo": 100})
    expect(shop, "web", {("web-1", "first", "TCP", 100)})
    run(shop, "web-2", ports={"bar": 101})
    both = {("web-1", "first", "TCP", 100), ("web-2", "second", "TCP", 101)}
    expect(shop, "web", both)
    cluster.delete("pod", "web-1", namespace)
    expect(shop, "web", {("web-2", "second", "TCP", 101)})
    cluster.delete("pod", "web-2", namespace)
    expect(shop, "web", set())
    ports = [
        {"name": "tcp", "port": 80, "targetPort": 8080},
        {"name": "udp", "port": 80, "targetPort": 8080, "protocol": "UDP"},
    ]
    cluster.apply(service("dual", namespace, "stage", clusterIP=None, ports=ports))
    run(shop, "dual-1")
    expect(shop, "dual", {("dual-1", "tcp", "TCP", 8080), ("dual-1", "udp", "UDP", 8080)})


def test_an_affinity_can_be_switched(shop: Shop) -> None:
    """ "should be able to switch session affinity for service with type clusterIP", "... for NodePort service"."""
    cluster, namespace = shop.cluster, shop.namespace
    names = {f"web-{number}" for number in range(3)}
    run(shop, *names)
    run(shop, "client")
    spec: dict[str, Any] = {"type": "NodePort"}
    address = vip(shop, "web", **spec)
    made = cluster.json("service", "web", namespace)["spec"]
    node = cluster.json("node", cluster.nodes[0])["status"]["addresses"][0]["address"]
    ways = {
        "client": f"http://{address}/",
        "asker": f"http://{node}:{made['ports'][0]['nodePort']}/",
    }

    def one_alone(client: str, url: str) -> Callable[[], bool]:
        def right() -> bool:
            got = {page_of(shop, client, url) for _ in range(10)}
            assert len(got) == 1 and got <= names, got
            return True

        return right

    for client, url in ways.items():
        reached(shop, client, url)(names)
    for affinity in ("ClientIP", "None", "ClientIP"):
        cluster.apply(
            service("web", namespace, "stage", clusterIP=None, sessionAffinity=affinity, **spec)
        )
        for client, url in ways.items():
            if affinity == "None":
                reached(shop, client, url)(names)
            else:
                cluster.wait(one_alone(client, url), 40, f"{client} to keep its endpoint")


def test_pods_reach_themselves_and_are_seen_as_who_they_are(shop: Shop) -> None:
    """ "should allow pods to hairpin back to themselves through services", "should preserve source pod IP for traffic
    thru service cluster IP"."""
    cluster, namespace = shop.cluster, shop.namespace
    here, other = cluster.nodes[:2]
    run(shop, "web-1", node=here)
    address = vip(shop, "web")
    reached(shop, "web-1", f"http://{address}/")({"web-1"})
    port = {"name": "who", "port": 99, "targetPort": 8099}
    who = vip(shop, "who", selector={"app": "web"}, ports=[port])
    netns = pod_place(cluster, here, namespace, "web-1").netns
    inside = f"timeout 120 nsenter --net={netns} python3 -c '{WHO}' >/dev/null 2>&1 &"
    cluster.node_exec(here, "bash", "-c", inside)
    for node in (here, other):
        name = f"client-{node}"
        run(shop, name, node=node)
        told = interface_sets(cluster, namespace)[name]["interfaces"][0]["ips"][0]["address"]

        def seen(name: str = name, own: str = told.split("/")[0]) -> bool:
            ask = ("sh", "-c", f"nc -w 3 {who} 99 </dev/null")
            code, out, err = cluster.pod_run_try(namespace, name, *ask)
            assert out.strip() == own, f"{out} {err}, not {own}"
            return True

        cluster.wait(seen, 30, f"{name} to be seen by its own address")


def test_services_go_up_and_down(shop: Shop) -> None:
    """ "should be able to up and down services", "should work after the service has been recreated", "should work after
    restarting kube-proxy", "should work after restarting apiserver", "should be rejected when no endpoints exist".
    """
    cluster, namespace = shop.cluster, shop.namespace
    run(shop, "web-1", "more-1", "client")
    first = reached(shop, "client", f"http://{vip(shop, 'web')}/")
    more = reached(shop, "client", f"http://{vip(shop, 'more')}/")
    first({"web-1"})
    more({"more-1"})
    cluster.delete("podnetworkservice", "web", namespace)

    def gone() -> bool:
        return not cluster.exists("service", "web", namespace)

    cluster.wait(gone, 20, "the Service to go")
    more({"more-1"})
    again = reached(shop, "client", f"http://{vip(shop, 'web')}/")
    again({"web-1"})
    for node in cluster.nodes[:2]:
        cluster.restart(node, "kube-proxy")
    again({"web-1"})
    cluster.restart_api_server()
    again({"web-1"})
    run(shop, "web-2")
    again({"web-1", "web-2"})
    for name in ("web-1", "web-2"):
        cluster.delete("pod", name, namespace)
    again(set())


def test_the_last_endpoint_serves_while_it_ends_and_none_after_it_failed(shop: Shop) -> None:
    """ "should fallback to terminating endpoints when there are no ready endpoints with internalTrafficPolicy=Cluster",
    "should be rejected for evicted pods (no endpoints exist)"."""
    cluster, namespace = shop.cluster, shop.namespace
    run(shop, "web-1", script=LINGER, spec={"terminationGracePeriodSeconds": 15})
    run(shop, "client")
    served = reached(shop, "client", f"http://{vip(shop, 'web')}/")
    served({"web-1"})
    cluster.delete("pod", "web-1", namespace, "--wait=false")

    def ends() -> bool:
        (told,) = shop.endpoints("web").values()
        assert told == {"ready": False, "serving": True, "terminating": True}, told
        return True

    cluster.wait(ends, 10, "its end to be told")
    served({"web-1"})
    cluster.wait(lambda: not cluster.exists("pod", "web-1", namespace), 40, "its end")
    served(set())
    run(shop, "web-2", spec={"activeDeadlineSeconds": 40, "terminationGracePeriodSeconds": 2})
    served({"web-2"})

    def failed() -> bool:
        return bool(cluster.json("pod", "web-2", namespace)["status"]["phase"] == "Failed")

    cluster.wait(failed, 90, "a pod that the kubelet ends")
    served(set())
