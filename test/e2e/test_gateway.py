"""Clients who aren't on a network reach its services by the gateways of nodes: NodePorts, addresses of load
balancers, reach: Cluster."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2elib import traefik
from e2elib.cluster import Cluster, condition
from e2elib.events import wait_event
from e2elib.networks import Networks
from e2elib.objects import interface_sets, macvlan, policy, service, vxlan
from e2elib.places import node_place, pod_place
from e2elib.pods import pod
from e2elib.shop import SERVE, Shop, page_of, workload

BALANCED = "192.0.2.80"  # an address that no node has
REBUILT_WITHIN = 40
PROXY_PID = "/run/kube-proxy-of-iptables.pid"


@pytest.fixture
def shop(deployed: Cluster, networks: Networks, namespace: str) -> Iterator[Shop]:
    networks.add_ready(vxlan("stage", "10.66.0.0/24", "fd00:66::/64"))
    yield Shop(deployed, namespace)


def node_addresses(cluster: Cluster, node: str) -> tuple[str, ...]:
    """Of IPv4 and IPv6."""
    addresses = cluster.json("node", node)["status"]["addresses"]
    return tuple(one["address"] for one in addresses if one["type"] == "InternalIP")


def node_address(cluster: Cluster, node: str) -> str:
    return node_addresses(cluster, node)[0]


def node_port(shop: Shop, name: str, place: int = 0) -> int:
    def told() -> int:
        ports = shop.cluster.json("service", name, shop.namespace)["spec"]["ports"]
        return int(ports[place]["nodePort"])

    return shop.cluster.wait(told, 20, f"service {name} to have a nodePort")


def from_outside(cluster: Cluster, url: str) -> str:
    """What a machine of the cluster's wire gets that is no node: the one with the control plane."""
    code, out, err = cluster.node_exec_try("cp", "curl", "-s", "--max-time", "5", url)
    return out.strip() if code == 0 else f"failed: {code} {err.strip()}"


def answered(ask: Callable[[], str], by: str = "web-") -> Callable[[], bool]:
    def is_answered() -> bool:
        got = ask()
        assert got.startswith(by), got
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


ECHO = """
import socket, sys
server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.bind(("::", 5353))
while True:
    asked, client = server.recvfrom(512)
    server.sendto(b"web-by-datagram", client)
"""
DATAGRAM = """
import socket, sys
one = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
one.settimeout(2)
one.connect((sys.argv[1], int(sys.argv[2])))
one.send(b"?")
print(one.recv(512).decode())
"""


def datagram_from_outside(cluster: Cluster, address: str, port: int) -> str:
    code, out, err = cluster.node_exec_try("cp", "python3", "-c", DATAGRAM, address, str(port))
    return out.strip() if code == 0 else f"failed: {err.strip()}"


def test_node_ports_are_of_both_families_and_protocols_and_networks_with_the_same_addresses(
    shop: Shop, networks: Networks
) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    networks.add_ready(vxlan("twin", "10.66.0.0/24", "fd00:66::/64"))
    at, other = cluster.nodes[:2]
    for name, on in (("web", "stage"), ("twin", "twin")):
        one = pod(f"{name}-0", namespace, node=at, networks=on, labels={"app": name}, script=SERVE)
        cluster.apply(one)
    ports = [
        {"name": "http", "port": 80, "targetPort": 8080},
        {"name": "dns", "port": 53, "targetPort": 5353, "protocol": "UDP"},
    ]
    for name, on in (("web", "stage"), ("twin", "twin")):
        cluster.apply(
            service(name, namespace, on, clusterIP=None, type="NodePort", ports=ports,
                    ipFamilyPolicy="RequireDualStack")
        )  # fmt: skip
        cluster.wait_pod_ready(f"{name}-0", namespace)
    netns = pod_place(cluster, at, namespace, "web-0").netns
    echo = f"timeout 60 nsenter --net={netns} python3 -c '{ECHO}' >/dev/null 2>&1 &"
    cluster.node_exec(at, "bash", "-c", echo)
    for address in node_addresses(cluster, other):
        host = f"[{address}]" if ":" in address else address
        for name in ("web", "twin"):
            url = f"http://{host}:{node_port(shop, name)}/"
            cluster.wait(answered(lambda url=url: from_outside(cluster, url), f"{name}-0"), 60, url)
        port = node_port(shop, "web", 1)
        cluster.wait(
            answered(lambda at=address: datagram_from_outside(cluster, at, port)),
            30,
            f"a datagram to {address} to be answered",
        )


def test_a_load_balancer_is_led_away_from_a_node_whose_endpoint_ends(shop: Shop) -> None:
    cluster, namespace = shop.cluster, shop.namespace

    def begin(name: str, node: str) -> None:
        spec = {"terminationGracePeriodSeconds": 14}
        one = pod(name, namespace, node=node, networks="stage", labels={"app": "web"},
                  script=SERVE, spec=spec)  # fmt: skip
        cluster.apply(one)
        cluster.wait_pod_ready(name, namespace)

    nodes = cluster.nodes[:2]
    for node in nodes:
        begin(f"web-{node}", node)
    # It holds for longer than a look at it takes.
    cluster.apply(
        service("web", namespace, "stage", clusterIP=None, type="LoadBalancer",
                externalTrafficPolicy="Local", termination={"seconds": 6})
    )  # fmt: skip
    port = node_port(shop, "web")
    asked_at = cluster.json("service", "web", namespace)["spec"]["healthCheckNodePort"]

    def health(node: str) -> dict[str, Any]:
        url = f"http://{node_address(cluster, node)}:{asked_at}/"
        out = cluster.node_exec("cp", "curl", "-s", "--max-time", "5", "-w", " %{http_code}", url)
        body, code = out.rsplit(" ", 1)
        return {"code": int(code), "endpoints": json.loads(body)["localEndpoints"]}

    def balance() -> list[str]:
        """A connection to each node that says it may have one; what came of those that failed."""
        ready = [node for node in nodes if health(node)["code"] == 200]
        urls = [f"http://{node_address(cluster, node)}:{port}/" for node in ready]
        got = [from_outside(cluster, url) for url in urls]
        return [one for one in got if not one.startswith("web-")] if got else ["no node is ready"]

    def says(node: str, code: int) -> Callable[[], bool]:
        def is_told() -> bool:
            lost.extend(balance())
            told = health(node)
            assert told == {"code": code, "endpoints": 1 if code == 200 else 0}, told
            return True

        return is_told

    lost: list[str] = []
    for node in nodes:
        url = f"http://{node_address(cluster, node)}:{port}/"
        cluster.wait(answered(lambda url=url: from_outside(cluster, url)), 60, f"{url} served")
        cluster.wait(says(node, 200), 20, f"{node} to be ready")
    lost.clear()
    for node in nodes:
        leaving = ["pod", f"web-{node}", "-n", namespace, "--wait=false"]
        cluster.kubectl("delete", *leaving)
        cluster.wait(says(node, 503), 10, f"{node} to say that it is leaving")
        url = f"http://{node_address(cluster, node)}:{port}/"
        got = from_outside(cluster, url)
        assert got == f"web-{node}", f"who comes before the load balancer knows: {got}"
        begin(f"web-{node}-again", node)
        cluster.wait(says(node, 200), 20, f"{node} to be back")
    assert not lost, lost


def test_a_network_without_an_address_left_is_told_and_its_clients_refused(
    shop: Shop, networks: Networks
) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    networks.add_ready(vxlan("tight", "10.67.0.0/30"))
    at, other = cluster.nodes[:2]
    cluster.apply(pod("web-0", namespace, node=at, networks="tight", labels={"app": "web"},
                      script=SERVE))  # fmt: skip
    cluster.wait_pod_ready("web-0", namespace)
    cluster.apply(service("web", namespace, "tight", clusterIP=None, type="NodePort"))

    def told() -> bool:
        conditions = cluster.json("nodenetworkset", other)["status"]["conditions"]
        gateway = next((one for one in conditions if one["type"] == "Gateway"), {})
        assert gateway.get("reason") == "NoAddress", gateway
        assert gateway["status"] == "False" and "tight" in gateway["message"], gateway
        return True

    cluster.wait(told, 60, f"{other} to say that it has no address")
    wait_event(cluster, "default", other, "NoAddress", "tight")
    got = page_of(shop, "asker", f"http://{node_address(cluster, other)}:{node_port(shop, 'web')}/")
    assert "refused" in got, got
    # What asks no more is missed no more.
    cluster.delete("podnetworkservice", "web", namespace)

    def over() -> bool:
        return condition(cluster.json("nodenetworkset", other), "Gateway") == "True"

    cluster.wait(over, 30, f"{other} to lack nothing")


def test_a_client_keeps_its_endpoint_by_each_way_in_and_under_a_new_agent(shop: Shop) -> None:
    """In both families, by TCP and UDP; from pods without networks, and from outside."""
    cluster, namespace = shop.cluster, shop.namespace
    at, other = cluster.nodes[:2]
    names = [f"web-{number}" for number in range(3)]
    for name in names:
        cluster.apply(pod(name, namespace, node=at, networks="stage", labels={"app": "web"},
                          script=SERVE))  # fmt: skip
    for name in names:
        cluster.wait_pod_ready(name, namespace)
        netns = pod_place(cluster, at, namespace, name).netns
        echo = ECHO.replace("web-by-datagram", name)
        inside = f"timeout 300 nsenter --net={netns} python3 -c '{echo}' >/dev/null 2>&1 &"
        cluster.node_exec(at, "bash", "-c", inside)
    ports = [
        {"name": "http", "port": 80, "targetPort": 8080},
        {"name": "dns", "port": 53, "targetPort": 5353, "protocol": "UDP"},
    ]
    kept = {"clusterIP": None, "type": "NodePort", "ports": ports, "reach": "Cluster",
            "ipFamilyPolicy": "RequireDualStack", "sessionAffinity": "ClientIP"}  # fmt: skip
    cluster.apply(service("web", namespace, "stage", **kept))
    shop.wait_reason("web", "Available", "Endpoints")
    vip = cluster.json("service", "web", namespace)["spec"]["clusterIP"]
    ways: dict[str, Callable[[], str]] = {
        "ClusterIP from a pod": lambda: page_of(shop, "asker", f"http://{vip}/")
    }
    for address in node_addresses(cluster, other):
        host = f"[{address}]" if ":" in address else address
        url = f"http://{host}:{node_port(shop, 'web')}/"
        dns = node_port(shop, "web", 1)
        ways |= {
            f"{url} from outside": lambda url=url: from_outside(cluster, url),
            f"{address}, UDP": lambda at=address: datagram_from_outside(cluster, at, dns),
        }

    def one_of(way: str) -> str:
        seen = {ways[way]() for _ in range(8)}
        assert len(seen) == 1 and seen <= set(names), f"{way}: {sorted(seen)}"
        return seen.pop()

    for way, ask in ways.items():
        cluster.wait(answered(ask), 60, way)
    had = {way: one_of(way) for way in ways}
    for node in (at, other):
        cluster.kill(node, "agent")
    for way in ways:  # while the next ones begin, and again once they are there
        assert one_of(way) == had[way], way
    # Another endpoint comes: what the agents keep changes, and nobody moves.
    cluster.apply(pod("web-3", namespace, node=other, networks="stage", labels={"app": "web"},
                      script=SERVE))  # fmt: skip
    cluster.wait_pod_ready("web-3", namespace)

    def four() -> bool:
        status = cluster.json("podnetworkservice", "web", namespace)["status"]
        return bool(status["endpoints"]["ready"] == 8)

    cluster.wait(four, 30, "four endpoints of each family")
    for way in ways:
        assert one_of(way) == had[way], way
    # Its endpoint goes: another, and that one from then on.
    way = next(one for one in ways if "from outside" in one)
    gone = had[way]
    cluster.delete("pod", gone, namespace, "--wait=false")

    def elsewhere() -> bool:
        got = ways[way]()
        assert got.startswith("web-") and got != gone, got
        return True

    cluster.wait(elsewhere, 20, "another endpoint")
    names.append("web-3")
    assert one_of(way) != gone


def test_gateways_serve_beside_a_kube_proxy_of_iptables(shop: Shop, tmp_path: Path) -> None:
    """The clusters' own is of nftables."""
    cluster, namespace = shop.cluster, shop.namespace
    serve(shop, type="NodePort", reach="Cluster")
    plain = {"selector": {"app": "web"}, "type": "NodePort",
             "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}  # fmt: skip
    cluster.apply(
        json.dumps({"apiVersion": "v1", "kind": "Service", "spec": plain,
                    "metadata": {"name": "plain", "namespace": namespace}})
    )  # fmt: skip
    node = cluster.nodes[0]
    address = node_address(cluster, node)
    ours = cluster.json("service", "web", namespace)["spec"]["clusterIP"]
    urls = {name: f"http://{address}:{node_port(shop, name)}/" for name in ("web", "plain")}
    for url in urls.values():
        cluster.wait(answered(lambda url=url: from_outside(cluster, url)), 60, f"{url} served")
    place = node_place(cluster, node)
    usual = cluster.component(node, "kube-proxy")["argv"]
    command = [one.replace("=nftables", "=iptables") for one in usual]
    assert "--proxy-mode=iptables" in command, command
    cluster.stop(node, "kube-proxy")
    begin = ["sh", "-c", f'echo $$ >{PROXY_PID}; exec "$@"', "sh", *command]
    proxy = cluster.node_begin(node, begin, tmp_path / "kube-proxy.log")
    try:

        def ruled() -> bool:
            rules = place.run("iptables-save", "-t", "nat")
            return f"{namespace}/plain:http" in rules

        cluster.wait(ruled, 30, "rules of iptables")
        for url in urls.values():
            cluster.wait(answered(lambda url=url: from_outside(cluster, url)), 30, f"{url} served")
        for _ in range(4):
            assert from_outside(cluster, urls["web"]).startswith("web-")
        got = cluster.node_exec(node, "curl", "-s", "--max-time", "5", f"http://{ours}/")
        assert got.startswith("web-"), got
        assert page_of(shop, "asker", f"http://{ours}/").startswith("web-")
        cluster.restart_agent(node)
        cluster.wait(
            answered(lambda: from_outside(cluster, urls["web"])), 30, "the next agent to serve"
        )
    finally:
        place.run("sh", "-c", f"kill $(cat {PROXY_PID})")
        proxy.wait(20)
        cluster.start(node, "kube-proxy")
    cluster.wait(answered(lambda: from_outside(cluster, urls["plain"])), 30, "the usual one back")


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


def test_policies_judge_clients_by_their_own_addresses_where_they_are_local(shop: Shop) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    at = cluster.nodes[0]
    cluster.apply(
        pod("web-0", namespace, node=at, networks="stage", labels={"app": "web"}, script=SERVE)
    )
    cluster.apply(
        service("web", namespace, "stage", clusterIP=None, type="NodePort",
                externalTrafficPolicy="Local")
    )  # fmt: skip
    cluster.wait_pod_ready("web-0", namespace)
    url = f"http://{node_address(cluster, at)}:{node_port(shop, 'web')}/"
    cluster.wait(answered(lambda: from_outside(cluster, url)), 60, f"{url} from outside")
    _, out, _ = cluster.node_exec_try("cp", "ip", "-o", "route", "get", node_address(cluster, at))
    client = out.split(" src ")[1].split()[0]

    def admit(cidr: str, *but: str) -> None:
        block = {"cidr": cidr, "except": list(but)} if but else {"cidr": cidr}
        rule = {"from": [{"ipBlock": block}], "ports": [{"protocol": "TCP", "port": 8080}]}
        cluster.apply(policy("web", namespace, "stage", ingress=[rule]))

    def is_kept_out() -> bool:
        got = from_outside(cluster, url)
        assert got.startswith("failed: 28"), got  # curl's word for an answer that never came
        return True

    admit("203.0.113.0/24")
    cluster.wait(is_kept_out, 30, "a client of another block to be kept out")
    admit(f"{client}/32")
    cluster.wait(answered(lambda: from_outside(cluster, url)), 30, "a client of the block")
    assert page_of(shop, "asker", url) == "timed out", "a pod is another client"
    # An ipBlock holds for addresses of the network, too, of which the gateway has one.
    admit("0.0.0.0/0", f"{client}/32", "10.66.0.0/24")
    cluster.wait(is_kept_out, 30, "a client that is excepted to be kept out")
    cluster.wait(answered(lambda: page_of(shop, "asker", url)), 30, "all others to come in")


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
    cluster.pod_run(shop.namespace, pods[0], "touch", "/tmp/healthz")
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
    cluster.pod_run(shop.namespace, pods[1], "touch", "/tmp/healthz")
    cluster.wait(ready("web", 4), 30, "the other to come")
    cluster.pod_run(shop.namespace, pods[0], "rm", "/tmp/healthz")
    cluster.wait(ready("web", 2), 30, "the first to leave")
    cluster.wait(ready("all", 4), 10, "and to stay where nobody asks")
    # A policy that lets nobody in but a pod that isn't there: who asks for health still gets in.
    cluster.apply(policy("web", shop.namespace, "stage"))
    cluster.wait(
        lambda: condition(cluster.json("podnetworkpolicy", "web", shop.namespace), "Enforced")
        == "True",
        30,
        "the policy to be enforced",
    )
    cluster.wait(lambda: page_of(shop, "asker", url) == "timed out", 20, "clients to be kept out")
    cluster.pod_run(shop.namespace, pods[0], "touch", "/tmp/healthz")
    cluster.wait(ready("web", 4), 30, "the first to be found healthy again")
    assert page_of(shop, "asker", url) == "timed out"


SECURE = """
import http.server, socket, ssl, sys
class Server(http.server.HTTPServer):
    address_family = socket.AF_INET6
server = Server(("::", 8443), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def test_health_is_asked_by_grpc_and_https(shop: Shop, tmp_path: Path) -> None:
    """A Go server's health service, and TLS with a certificate of nobody's."""
    cluster, namespace = shop.cluster, shop.namespace
    node = cluster.nodes[0]
    cluster.apply(pod("web-0", namespace, node=node, networks="stage", labels={"app": "web"}))
    secret = str(tmp_path / "server.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=nobody",
         "-keyout", secret, "-out", secret + ".crt"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    with open(secret, "a", encoding="utf-8") as both:
        both.write(Path(secret + ".crt").read_text())
    cluster.wait_pod_ready("web-0", namespace)
    checks: dict[str, tuple[dict[str, Any], tuple[bool, str]]] = {
        "calls": ({"grpc": {"port": 9090}}, (True, "Serving")),
        "secure": (
            {"httpGet": {"port": 8443, "path": "/", "scheme": "HTTPS"}},
            (True, "Answered"),
        ),
        "missing": (
            {"httpGet": {"port": 8443, "path": "/no-such", "scheme": "HTTPS"}},
            (False, "BadStatus"),
        ),
        "not-tls": ({"httpGet": {"port": 8080, "scheme": "HTTPS"}}, (False, "TlsFailed")),
        "no-calls": ({"grpc": {"port": 8080}}, (False, "NoGrpc")),
    }
    netns = pod_place(cluster, node, namespace, "web-0").netns
    for command in (f"{traefik.echo_program()} serve", f"python3 -c '{SECURE}' {secret}"):
        inside = f"timeout 90 nsenter --net={netns} {command} >/dev/null 2>&1 &"
        cluster.node_exec(node, "bash", "-c", inside)
    for port in (8443, 9090):

        def listens(port: int = port) -> bool:
            knock = f": </dev/tcp/::1/{port}"
            command = ["nsenter", f"--net={netns}", "timeout", "2", "bash", "-c", knock]
            return cluster.node_exec_try(node, *command)[0] == 0

        cluster.wait(listens, 30, f"a server at {port}")
    for name, (check, _) in checks.items():
        often = {"periodSeconds": 1, "failureThreshold": 1}
        cluster.apply(service(name, namespace, "stage", selector={"app": "web"},
                              healthCheck=check | often))  # fmt: skip

    def found() -> bool:
        told = interface_sets(cluster, namespace)["web-0"]["interfaces"][0].get("health", [])
        got = {one["service"]: (one["healthy"], one["reason"]) for one in told}
        assert got == {name: right for name, (_, right) in checks.items()}, told
        return True

    cluster.wait(found, 60, "each way of asking to find what it should")
    for name, (_, (healthy, _)) in checks.items():
        shop.wait_reason(name, "Available" if healthy else "NoneReady", "Endpoints")


def test_a_macvlan_has_gateways_too(deployed: Cluster, networks: Networks, namespace: str) -> None:
    networks.add_ready(macvlan("stage", "eth1", "10.68.0.0/24"))
    shop = Shop(deployed, namespace)
    serve(shop, type="NodePort")
    port = node_port(shop, "web")
    for node in deployed.nodes[:2]:
        url = f"http://{node_address(deployed, node)}:{port}/"
        deployed.wait(answered(lambda url=url: page_of(shop, "asker", url)), 60, f"{url} served")
