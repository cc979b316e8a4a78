"""Services on a network of types NodePort and LoadBalancer: what the controller makes of them, what an
unmodified load balancer controller does with it, how types change, and what the API server refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2elib import metallb
from e2elib.balancer import FINALIZER, Balancer
from e2elib.cluster import Cluster
from e2elib.networks import Networks
from e2elib.objects import OUTSIDE, interface_sets, service, vxlan
from e2elib.places import node_place
from e2elib.shop import Shop, workload

ADDRESSES = ("192.0.2.10", "192.0.2.11", "192.0.2.12")
PORTS = [
    {"name": "http", "port": 80, "targetPort": 8080},
    {"name": "https", "port": 443, "targetPort": 8443},
]
LABEL_REACH = "multinet.dev/reach"
CHECK = "multinet.dev/health-check"


@pytest.fixture
def shop(deployed: Cluster, networks: Networks, namespace: str) -> Iterator[Shop]:
    networks.add_ready(vxlan("stage", "10.66.0.0/24", "fd00:66::/64"))
    yield Shop(deployed, namespace)


def vip(shop: Shop, name: str, **spec: Any) -> str:
    return service(name, shop.namespace, "stage", **({"clusterIP": None, "ports": PORTS} | spec))


def made(shop: Shop, name: str) -> dict[str, Any]:
    """The Service's spec."""
    spec: dict[str, Any] = shop.cluster.json("service", name, shop.namespace)["spec"]
    return spec


def status(shop: Shop, name: str) -> dict[str, Any]:
    told: dict[str, Any] = shop.cluster.json("podnetworkservice", name, shop.namespace)["status"]
    return told


def wait_type(shop: Shop, name: str, kind: str) -> dict[str, Any]:
    def right() -> dict[str, Any]:
        spec = made(shop, name)
        assert spec["type"] == kind, spec
        return spec

    return shop.cluster.wait(right, 20, f"Service {name} to be of type {kind}")


def given(spec: dict[str, Any]) -> list[int]:
    return [port.get("nodePort", 0) for port in spec["ports"]]


def wait_node_ports(shop: Shop, name: str, ports: list[int]) -> None:
    def told() -> bool:
        got = status(shop, name).get("nodePorts", [])
        assert got == ports, got
        return True

    shop.cluster.wait(told, 20, f"{name} to tell its node ports")


def test_types_change_as_cores_do(shop: Shop) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    cluster.apply(vip(shop, "web"))
    shop.wait_reason("web", "Accepted")
    address = made(shop, "web")["clusterIP"]

    cluster.apply(vip(shop, "web", type="NodePort"))
    first = given(wait_type(shop, "web", "NodePort"))
    assert all(30000 <= port <= 32767 for port in first) and len(set(first)) == 2, first
    wait_node_ports(shop, "web", first)
    # They are kept by their port's name, whatever becomes of the rest.
    other = [PORTS[1] | {"port": 8443}, PORTS[0]]
    cluster.apply(vip(shop, "web", type="NodePort", ports=other))
    wait_node_ports(shop, "web", first[::-1])
    assert given(made(shop, "web")) == first[::-1]

    balanced = {
        "type": "LoadBalancer",
        "externalTrafficPolicy": "Local",
        "loadBalancerClass": "example.com/nobodys",
        "loadBalancerSourceRanges": ["192.0.2.0/24"],
        "reach": "Cluster",
    }
    cluster.apply(vip(shop, "web", **balanced))
    spec = wait_type(shop, "web", "LoadBalancer")
    assert given(spec) == first, "a load balancer has node ports, too"
    assert spec["externalTrafficPolicy"] == "Local"
    assert spec["healthCheckNodePort"] > 0
    assert spec["loadBalancerClass"] == "example.com/nobodys"
    assert spec["loadBalancerSourceRanges"] == ["192.0.2.0/24"]
    labels = cluster.json("service", "web", namespace)["metadata"]["labels"]
    assert labels[LABEL_REACH] == "Cluster"
    shop.wait_reason("web", "Pending", "LoadBalancer")
    code, _, err = cluster.apply_try(vip(shop, "web", **(balanced | {"loadBalancerClass": "mine"})))
    assert code != 0 and "loadBalancerClass can't change" in err, err

    cluster.apply(vip(shop, "web", **(balanced | {"allocateLoadBalancerNodePorts": False})))
    wait_node_ports(shop, "web", [])

    cluster.apply(vip(shop, "web"))
    spec = wait_type(shop, "web", "ClusterIP")
    assert given(spec) == [0, 0]
    for field in ("externalTrafficPolicy", "healthCheckNodePort", "loadBalancerClass"):
        assert field not in spec, spec
    assert spec["clusterIP"] == address, "through all of it"
    assert LABEL_REACH not in cluster.json("service", "web", namespace)["metadata"]["labels"]
    shop.wait_reason("web", "Accepted")
    assert shop.told("web", "LoadBalancer") == {}

    # To and from an outside name nothing leads.
    code, _, err = cluster.apply_try(service("web", namespace, "stage", **OUTSIDE))
    assert code != 0 and "type can't change to or from ExternalName" in err, err
    cluster.apply(service("out", namespace, "stage", **OUTSIDE))
    code, _, err = cluster.apply_try(vip(shop, "out", type="NodePort"))
    assert code != 0 and "type can't change to or from ExternalName" in err, err


def test_a_load_balancer_controller_gives_addresses(shop: Shop) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    with Balancer(cluster, ADDRESSES) as balancer:
        cluster.apply(vip(shop, "web", type="LoadBalancer"))
        cluster.apply(vip(shop, "else", type="LoadBalancer", loadBalancerClass="example.com/else"))
        told = shop.wait_reason("web", "Assigned", "LoadBalancer")
        address = balancer.given(namespace, "web")
        assert told["message"] == f"Its load balancer is reached at {address}."
        assert status(shop, "web")["loadBalancer"]["ingress"][0]["ip"] == address
        # Its finalizer and its notes stay, whatever the controller writes.
        cluster.kubectl("annotate", "-n", namespace, "service", "web", "example.com/pool=a")
        cluster.apply(
            vip(shop, "web", type="LoadBalancer", selector={"app": "db"}, ports=PORTS[:1])
        )

        def one_port() -> bool:
            return len(made(shop, "web")["ports"]) == 1

        cluster.wait(one_port, 20, "the Service to follow")
        metadata = cluster.json("service", "web", namespace)["metadata"]
        assert FINALIZER in metadata["finalizers"]
        assert metadata["annotations"]["example.com/pool"] == "a"
        shop.wait_reason("else", "Pending", "LoadBalancer")
        assert "example.com/else" in shop.told("else", "LoadBalancer")["message"]
        # Another type: it cleans up.
        cluster.apply(vip(shop, "web"))
        wait_type(shop, "web", "ClusterIP")

        def clean() -> bool:
            there = cluster.json("service", "web", namespace)["metadata"]
            return FINALIZER not in there.get("finalizers", [])

        cluster.wait(clean, 20, "the load balancer controller to clean up")
        assert "loadBalancer" not in status(shop, "web")
        assert balancer.refused == []


def test_metallb_gives_addresses_that_lead_to_a_network(shop: Shop, tmp_path: Path) -> None:
    """MetalLB's own controller: it sees core Services, and asks nothing of the network."""
    cluster, namespace = shop.cluster, shop.namespace
    cluster.apply(workload("Deployment", "web", namespace, "stage", 2))
    shop.rolled_out("deployment/web")
    log = tmp_path / "metallb.log"
    with metallb.running(cluster, log):
        cluster.apply(metallb.pool("any", "192.0.2.32/28", "2001:db8::20/124"))
        dual = {"type": "LoadBalancer", "ipFamilyPolicy": "RequireDualStack"}
        cluster.apply(vip(shop, "web", ports=PORTS[:1], **dual))
        shop.wait_reason("web", "Assigned", "LoadBalancer")
        given = [one["ip"] for one in status(shop, "web")["loadBalancer"]["ingress"]]
        assert sorted(":" in one for one in given) == [False, True], given
        metadata = cluster.json("service", "web", namespace)["metadata"]
        assert metadata["annotations"][metallb.POOL_NOTE] == "any", metadata
        four = next(one for one in given if ":" not in one)
        node = cluster.json("node", cluster.nodes[0])["status"]["addresses"][0]["address"]
        place = node_place(cluster, "cp")
        place.ip("route", "replace", f"{four}/32", "via", node)
        try:

            def served() -> bool:
                code, out, err = cluster.node_exec_try(
                    "cp", "curl", "-s", "--max-time", "5", f"http://{four}/"
                )
                assert out.startswith("web-"), (code, out, err, log.read_text()[-2000:])
                return True

            cluster.wait(served, 60, f"{four} to be served")
        finally:
            place.ip("route", "delete", f"{four}/32")
        # One of its owner's choice, by MetalLB's own annotation.
        alone = {"type": "LoadBalancer", "ipFamilyPolicy": "SingleStack"}
        wished = json.loads(vip(shop, "chosen", ports=PORTS[1:], **alone))
        wished["metadata"]["annotations"] = {metallb.WISH: "192.0.2.40"}
        cluster.apply(json.dumps(wished))

        def chosen() -> bool:
            told = status(shop, "chosen").get("loadBalancer", {}).get("ingress", [])
            assert [one["ip"] for one in told] == ["192.0.2.40"], told
            return True

        cluster.wait(chosen, 20, "the address that was asked for")
        cluster.apply(vip(shop, "web", ports=PORTS[:1], ipFamilyPolicy="RequireDualStack"))
        wait_type(shop, "web", "ClusterIP")
        cluster.wait(lambda: "loadBalancer" not in status(shop, "web"), 20, "its addresses to go")


def test_made_again_waits_for_the_load_balancer_of_the_earlier(shop: Shop) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    with Balancer(cluster, ADDRESSES) as balancer:
        cluster.apply(vip(shop, "web", type="LoadBalancer"))
        shop.wait_reason("web", "Assigned", "LoadBalancer")
        before = cluster.json("service", "web", namespace)["metadata"]["uid"]
        balancer.cleans_up = False
        cluster.kubectl("delete", "podnetworkservice", "web", "-n", namespace, "--wait=false")
        cluster.apply(vip(shop, "web", type="LoadBalancer"))

        def waits() -> bool:
            told = shop.told("web")
            assert told.get("reason") == "ServicePending", told
            assert FINALIZER in told["message"], told
            return True

        cluster.wait(waits, 30, "web to name what it waits for")
        assert cluster.json("service", "web", namespace)["metadata"]["uid"] == before
        assert "loadBalancer" not in status(shop, "web"), "that address is the earlier one's"
        balancer.cleans_up = True

        def another() -> bool:
            code, out, _ = cluster.kubectl_try(
                "get", "service", "web", "-n", namespace, "-o", "jsonpath={.metadata.uid}"
            )
            return code == 0 and out not in ("", before)

        cluster.wait(another, 30, "a Service of its own")
        shop.wait_reason("web", "Accepted")
        shop.wait_reason("web", "Assigned", "LoadBalancer")
        # Deleted alone it comes again, for the same service.
        cluster.delete("podnetworkservice", "web", namespace)
        assert balancer.refused == []

        def gone() -> bool:
            return not cluster.exists("service", "web", namespace)

        cluster.wait(gone, 30, "the Service to go")


def asking(port: int) -> list[dict[str, Any]]:
    return [PORTS[0] | {"nodePort": port}]


def test_a_node_port_that_cannot_be_is_told_in_the_servers_words(shop: Shop) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    cluster.apply(vip(shop, "first", type="NodePort", ports=PORTS[:1]))
    port = given(wait_type(shop, "first", "NodePort"))[0]
    cluster.apply(vip(shop, "second", type="NodePort", ports=asking(port)))
    told = shop.wait_reason("second", "Refused")
    assert f"{port}" in told["message"] and "already allocated" in told["message"], told
    cluster.apply(vip(shop, "second", type="NodePort", ports=asking(80)))

    def out_of_range() -> bool:
        told = shop.told("second")
        assert told["reason"] == "Refused" and "valid port" in told["message"], told
        return True

    cluster.wait(out_of_range, 20, "a change to be tried at once")
    # A Service that stands goes on as it was.
    cluster.apply(vip(shop, "third"))
    shop.wait_reason("third", "Accepted")
    address = made(shop, "third")["clusterIP"]
    cluster.apply(vip(shop, "third", type="NodePort", ports=asking(port)))
    shop.wait_reason("third", "Refused")
    assert made(shop, "third")["type"] == "ClusterIP"
    assert status(shop, "third")["clusterIPs"][0] == address
    cluster.apply(vip(shop, "third"))
    shop.wait_reason("third", "Accepted")
    # What is free in time is had.
    cluster.apply(vip(shop, "second", type="NodePort", ports=asking(port)))
    shop.wait_reason("second", "Refused")
    cluster.delete("podnetworkservice", "first", namespace)

    def accepted() -> bool:
        told = shop.told("second")
        assert told["reason"] == "Accepted", told
        return True

    cluster.wait(accepted, 90, "the port to be had")
    assert given(made(shop, "second")) == [port]


def test_what_is_made_is_the_controllers(shop: Shop) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    checked = {"healthCheck": {"httpGet": {"port": 8080, "path": "/healthz"}}}
    cluster.apply(vip(shop, "web", type="NodePort", **checked))
    wait_type(shop, "web", "NodePort")
    # One with its port written out is made once: made again before the caches saw it, the API server
    # would refuse it for the first one's port.
    fixed = [{"name": "http", "port": 80, "targetPort": 8080, "nodePort": 30777}]
    cluster.apply(vip(shop, "fixed", type="NodePort", ports=fixed))
    wait_node_ports(shop, "fixed", [30777])
    events = [one for one in cluster.items("events", namespace) if one["reason"] == "WriteRefused"]
    assert not [one for one in events if one["involvedObject"]["name"] == "fixed"], events
    annotations = cluster.json("service", "web", namespace)["metadata"]["annotations"]
    assert json.loads(annotations[CHECK]) == {
        "httpGet": {"port": 8080, "path": "/healthz"},
        "periodSeconds": 5,
        "timeoutSeconds": 1,
        "failureThreshold": 3,
        "successThreshold": 1,
    }
    for patch, says in (
        ({"spec": {"externalTrafficPolicy": "Local"}}, "change that one"),
        ({"metadata": {"labels": {LABEL_REACH: "Cluster"}}}, "leave them as they are"),
        ({"metadata": {"annotations": {CHECK: "{}"}}}, "change spec.healthCheck"),
    ):
        code, _, err = cluster.kubectl_try(
            "patch", "service", "web", "-n", namespace, "--type=merge", "-p", json.dumps(patch)
        )
        assert code != 0 and says in err, f"{patch}: {err}"
    cluster.apply(vip(shop, "web", type="NodePort"))

    def unchecked() -> bool:
        metadata = cluster.json("service", "web", namespace)["metadata"]
        return CHECK not in metadata["annotations"]

    cluster.wait(unchecked, 20, "the check to be taken away")


def ready_pods(shop: Shop, name: str) -> set[str]:
    return {
        endpoint["targetRef"]["name"]
        for one in shop.slices(name)
        for endpoint in one.get("endpoints") or []
        if endpoint["conditions"]["ready"]
    }


def test_who_does_not_answer_on_the_network_leaves_its_service(shop: Shop) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    cluster.apply(workload("Deployment", "web", namespace, "stage", 2))
    shop.rolled_out("deployment/web")
    check = {
        "httpGet": {"port": "web", "path": "/healthz"},
        "periodSeconds": 1,
        "failureThreshold": 2,
    }
    cluster.apply(service("plain", namespace, "stage", selector={"app": "web"}))
    cluster.apply(service("web", namespace, "stage", healthCheck=check))
    pods = {
        one["metadata"]["name"]
        for one in cluster.items("pods", namespace)
        if one["metadata"].get("labels", {}).get("app") == "web"
    }

    def found(pod: str) -> dict[str, Any]:
        told = interface_sets(cluster, namespace)[pod]["interfaces"][0].get("health", [])
        return dict(next((one for one in told if one["service"] == "web"), {}))

    def wait_found(pod: str, healthy: bool) -> None:
        def told() -> bool:
            got = found(pod)
            assert got.get("healthy") is healthy, got
            return True

        cluster.wait(told, 40, f"{pod} to be found {'' if healthy else 'un'}healthy")

    def wait_ready(expected: set[str]) -> None:
        def right() -> bool:
            got = ready_pods(shop, "web")
            assert got == expected, f"{sorted(got)}, not {sorted(expected)}"
            return True

        cluster.wait(right, 20, f"{sorted(expected)} to be ready")

    # All are Ready, and answer that there is no such page.
    for pod in pods:
        wait_found(pod, False)
        assert found(pod)["message"], found(pod)
    shop.wait_reason("web", "NoneReady", "Endpoints")
    assert ready_pods(shop, "plain") == pods, "who doesn't ask isn't told"
    one = min(pods)
    cluster.pod_run(namespace, one, "touch", "/tmp/healthz")
    wait_found(one, True)
    wait_ready({one})
    shop.wait_reason("web", "Available", "Endpoints")
    for pod in pods:
        cluster.pod_run(namespace, pod, "touch", "/tmp/healthz")
    wait_ready(pods)
    cluster.pod_run(namespace, one, "rm", "/tmp/healthz")
    wait_ready(pods - {one})
    # Nobody asks any more: a pod that is Ready serves.
    cluster.apply(service("web", namespace, "stage"))
    wait_ready(pods)
