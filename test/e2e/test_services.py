"""Services on a network: the names that an unmodified CoreDNS answers, what becomes of them as pods come,
go and fail, whose the Service and its slices are, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2elib import places
from e2elib.admission import try_out
from e2elib.cluster import Cluster, run_try
from e2elib.networks import Networks
from e2elib.objects import OUTSIDE, address, interface, interface_sets, network, service, vxlan
from e2elib.pods import pod
from e2elib.shop import FOLLOWED_WITHIN, LABEL_SERVICE, Shop, page_of, workload
from e2elib.waiting import hold

V4, V6 = "10.66.0.0/24", "fd00:66::/64"
LABEL_MANAGER = "endpointslice.kubernetes.io/managed-by"
LABEL_PROXY = "service.kubernetes.io/service-proxy-name"


@pytest.fixture
def shop(deployed: Cluster, networks: Networks, namespace: str) -> Iterator[Shop]:
    networks.add_ready(vxlan("stage", V4, V6))
    yield Shop(deployed, namespace)


def test_names_lead_to_the_networks_addresses(shop: Shop) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    cluster.apply(workload("StatefulSet", "db", namespace, "stage", 2, serviceName="db"))
    selector = {"app": "db"}
    port = {"name": "http", "port": 80, "targetPort": "web"}
    cluster.apply(service("db-stage", namespace, "stage", selector=selector, ports=[port]))
    shop.rolled_out("statefulset/db")
    shop.wait_reason("db-stage", "Accepted")

    for kind, family in (("a", "IPv4"), ("aaaa", "IPv6")):
        mine = {
            name: address(interface(cluster, namespace, name, "net1"), family)
            for name in ("db-0", "db-1")
        }
        shop.expect("db-stage", set(mine.values()), kind)
        for name, one in mine.items():
            shop.expect(f"{name}.db-stage", {one}, kind)
            assert shop.names_of(one) == {f"{name}.db-stage.{namespace}.svc.cluster.local"}
    domain = f"db-stage.{namespace}.svc.cluster.local"
    assert shop.services("_http._tcp.db-stage") == {
        (8080, f"db-0.{domain}"),
        (8080, f"db-1.{domain}"),
    }
    shop.wait_reason("db-stage", "Available", "Endpoints")
    status = cluster.json("podnetworkservice", "db-stage", namespace)["status"]
    assert status["clusterIPs"] == ["None"]
    assert status["endpoints"] == {"ready": 4, "serving": 4, "terminating": 0}

    made = cluster.json("service", "db-stage", namespace)
    assert "selector" not in made["spec"]
    assert made["metadata"]["labels"][LABEL_PROXY] == "multinet.dev"
    assert {one["addressType"] for one in shop.slices("db-stage")} == {"IPv4", "IPv6"}
    for one in shop.slices("db-stage"):
        assert one["metadata"]["labels"][LABEL_MANAGER] == "multinet.dev"
        assert one["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
        assert {end["hostname"] for end in one["endpoints"]} == {"db-0", "db-1"}
    # The core controller keeps such an object for a Service with a selector alone.
    assert not cluster.exists("endpoints", "db-stage", namespace)

    # And they can be reached there, over the network.
    cluster.apply(pod("client", namespace, networks="stage"))
    cluster.wait_pod_ready("client", namespace)
    (there,) = shop.addresses("db-1.db-stage")
    ask = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {there} 8080"
    page = cluster.pod_run(namespace, "client", "sh", "-c", ask)
    assert page.splitlines()[-1] == "db-1", page


def test_names_follow_scale_and_rollout(shop: Shop) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    cluster.apply(workload("Deployment", "web", namespace, "stage", 2))
    cluster.apply(service("web", namespace, "stage"))
    shop.rolled_out("deployment/web")
    first = shop.of_pods("web")
    assert len(first) == 2
    shop.expect("web", first)

    cluster.kubectl("scale", "deployment/web", "--replicas=4", "-n", namespace)
    shop.rolled_out("deployment/web")
    more = shop.of_pods("web")
    assert len(more) == 4 and first < more
    shop.expect("web", more)
    cluster.kubectl("scale", "deployment/web", "--replicas=1", "-n", namespace)
    shop.rolled_out("deployment/web")
    (last,) = shop.of_pods("web")
    shop.expect("web", {last})

    cluster.kubectl("scale", "deployment/web", "--replicas=3", "-n", namespace)
    shop.rolled_out("deployment/web")
    before = shop.of_pods("web")
    cluster.kubectl("set", "env", "deployment/web", "ROUND=2", "-n", namespace)
    shop.rolled_out("deployment/web")
    after = shop.of_pods("web")
    assert len(after) == 3 and not after & before
    shop.expect("web", after)
    shop.expect("web", shop.of_pods("web", "IPv6"), "aaaa")

    def exact() -> bool:
        assert {one for one in shop.endpoints("web") if ":" not in one} == after
        return True

    cluster.wait(exact, 20, "the slices to have what there is and no more")

    cluster.kubectl("scale", "deployment/web", "--replicas=0", "-n", namespace)
    shop.expect("web", set())
    shop.wait_reason("web", "NoPodMatches", "Endpoints")
    assert {one["addressType"] for one in shop.slices("web")} == {"IPv4", "IPv6"}, "empty ones stay"


def test_what_is_made_follows_its_spec_and_labels(shop: Shop) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    cluster.apply(pod("web", namespace, networks="stage", labels={"app": "web"}))
    made = json.loads(service("web", namespace, "stage"))
    made["metadata"]["labels"] = {"team": "a"}
    cluster.apply(json.dumps(made))
    cluster.wait_pod_ready("web", namespace)
    shop.expect("web", {address(interface(cluster, namespace, "web", "net1"))})

    made["metadata"]["labels"] = {"team": "b"}
    made["spec"]["ports"] = [{"name": "http", "port": 81}]
    cluster.apply(json.dumps(made))

    def followed() -> bool:
        standing = cluster.json("service", "web", namespace)
        assert standing["metadata"]["labels"]["team"] == "b"
        assert [one["port"] for one in standing["spec"]["ports"]] == [81]
        for one in shop.slices("web"):
            assert one["metadata"]["labels"]["team"] == "b"
            assert [port["port"] for port in one["ports"]] == [81]
        return True

    cluster.wait(followed, 10, "Service and slices to follow")
    made["spec"]["selector"] = {"app": "none"}
    cluster.apply(json.dumps(made))
    shop.expect("web", set())


def test_a_pod_that_is_not_ready_has_no_name_unless_it_is_asked_for(shop: Shop) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    cluster.apply(workload("Deployment", "web", namespace, "stage", 2))
    cluster.apply(service("web", namespace, "stage"))
    every = service(
        "all", namespace, "stage", selector={"app": "web"}, publishNotReadyAddresses=True
    )
    cluster.apply(every)
    shop.rolled_out("deployment/web")
    both = shop.of_pods("web")
    shop.expect("web", both)
    shop.expect("all", both)

    broken = next(name for name in interface_sets(cluster, namespace) if name.startswith("web-"))
    gone = address(interface(cluster, namespace, broken, "net1"))
    cluster.pod_run(namespace, broken, "rm", "/tmp/ready")
    shop.expect("web", both - {gone})
    assert shop.endpoints("web")[gone] == {"ready": False, "serving": False, "terminating": False}
    assert shop.endpoints("all")[gone] == {"ready": True, "serving": False, "terminating": False}
    hold(lambda: shop.addresses("all") == both, 6, "a name of pods that aren't ready")
    cluster.pod_run(namespace, broken, "touch", "/tmp/ready")
    shop.expect("web", both)


def test_a_pod_that_ends_is_told_before_it_is_gone(shop: Shop) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    slow = {"terminationGracePeriodSeconds": 20}
    script = "trap '' TERM; while true; do sleep 1; done"
    labels = {"app": "web"}
    cluster.apply(pod("web", namespace, networks="stage", labels=labels, script=script, spec=slow))
    cluster.apply(service("web", namespace, "stage"))
    cluster.wait_pod_ready("web", namespace)
    mine = address(interface(cluster, namespace, "web", "net1"))
    shop.expect("web", {mine})
    cluster.delete("pod", "web", namespace, "--wait=false")

    def terminating() -> bool:
        told = shop.endpoints("web")[mine]
        assert told == {"ready": False, "serving": True, "terminating": True}, told
        return True

    cluster.wait(terminating, 5, "the endpoint to be terminating")
    shop.expect("web", set())
    cluster.delete("pod", "web", namespace, "--grace-period=1")

    def gone() -> bool:
        return not shop.endpoints("web")

    cluster.wait(gone, 20, "the endpoint to be gone")


def test_a_network_made_again_brings_its_own_addresses(shop: Shop, networks: Networks) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    networks.add_ready(network("again", "10.67.0.0/24"))
    cluster.apply(service("web", namespace, "again"))
    labels = {"app": "web"}
    node = cluster.nodes[0]
    cluster.apply(pod("old", namespace, networks="again", labels=labels, node=node))
    cluster.wait_pod_ready("old", namespace)
    shop.expect("web", {address(interface(cluster, namespace, "old", "net1"))})
    cluster.delete("pod", "old", namespace, "--grace-period=1")
    cluster.delete("podnetwork", "again")
    shop.wait_reason("web", "NetworkNotFound")
    shop.expect("web", set())

    networks.add_ready(network("again", "10.68.0.0/24"))
    shop.wait_reason("web", "Accepted")
    cluster.apply(pod("new", namespace, networks="again", labels=labels, node=node))
    cluster.wait_pod_ready("new", namespace)
    now = address(interface(cluster, namespace, "new", "net1"))
    assert now.startswith("10.68.")
    shop.expect("web", {now})


def test_a_name_that_is_taken_is_told_and_left_alone(shop: Shop) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80}], "clusterIP": "None"}
    metadata = {"name": "web", "namespace": namespace}
    theirs = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    cluster.apply(json.dumps(theirs))
    before = cluster.json("service", "web", namespace)
    labels = {"app": "web"}
    cluster.apply(pod("web", namespace, networks="stage", labels=labels))
    cluster.apply(service("web", namespace, "stage"))
    cluster.wait_pod_ready("web", namespace)
    told = shop.wait_reason("web", "NameTaken")
    assert told["status"] == "False"
    assert "delete it, or give this service another name" in told["message"]
    mine = address(interface(cluster, namespace, "web", "net1"))

    def untouched() -> bool:
        assert cluster.json("service", "web", namespace)["spec"] == before["spec"]
        return mine not in shop.endpoints("web")

    hold(untouched, 5, "somebody else's Service")
    cluster.delete("service", "web", namespace)
    shop.wait_reason("web", "Accepted")
    shop.expect("web", {mine})


def test_what_is_made_is_the_controllers(shop: Shop) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    cluster.apply(pod("web", namespace, networks="stage", labels={"app": "web"}))
    cluster.apply(service("web", namespace, "stage"))
    cluster.wait_pod_ready("web", namespace)
    mine = address(interface(cluster, namespace, "web", "net1"))
    shop.expect("web", {mine})

    def patched(kind: str, name: str, change: dict[str, Any]) -> str:
        code, _, err = cluster.kubectl_try(
            "patch", kind, name, "-n", namespace, "--type=merge", "-p", json.dumps(change)
        )
        return err if code != 0 else ""

    refused = patched("service", "web", {"spec": {"selector": {"app": "web"}}})
    assert "made of the PodNetworkService of its name; change that one" in refused
    refused = patched("service", "web", {"metadata": {"labels": {LABEL_PROXY: None}}})
    assert "metadata.labels" in refused
    refused = patched("service", "web", {"metadata": {"ownerReferences": []}})
    assert "delete that one to be rid of it" in refused
    assert patched("service", "web", {"metadata": {"annotations": {"note": "mine"}}}) == ""
    (slice_name,) = [
        one["metadata"]["name"] for one in shop.slices("web") if one["addressType"] == "IPv4"
    ]
    forged = {"endpoints": [{"addresses": ["10.66.0.99"]}]}
    assert "follow the pods" in patched("endpointslice", slice_name, forged)
    metadata = {
        "name": "forged",
        "namespace": namespace,
        "labels": {LABEL_MANAGER: "multinet.dev", LABEL_SERVICE: "web"},
    }
    slice_of_mine = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.66.0.99"]}],
    }
    code, err = try_out(cluster, json.dumps(slice_of_mine))
    assert code != 0
    assert "name yourself" in err

    # What is deleted comes back.
    uid = cluster.json("service", "web", namespace)["metadata"]["uid"]
    cluster.kubectl("delete", "service", "web", "-n", namespace, "--wait=false")
    cluster.kubectl("delete", "endpointslice", slice_name, "-n", namespace)

    def back() -> bool:
        return bool(cluster.json("service", "web", namespace)["metadata"]["uid"] != uid)

    cluster.wait(back, 10, "the Service to be made again")
    shop.expect("web", {mine})


def test_a_deletion_leaves_nothing(shop: Shop) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    cluster.apply(pod("web", namespace, networks="stage", labels={"app": "web"}))
    cluster.apply(service("web", namespace, "stage"))
    cluster.wait_pod_ready("web", namespace)
    shop.expect("web", {address(interface(cluster, namespace, "web", "net1"))})
    cluster.delete("podnetworkservice", "web", namespace)

    def gone() -> bool:
        return not cluster.exists("service", "web", namespace) and not shop.slices("web")

    cluster.wait(gone, 30, "Service and slices to be gone")
    shop.expect("web", set())
    hold(gone, 5, "nothing")
    cluster.apply(service("web", namespace, "stage"))
    shop.wait_reason("web", "Accepted")
    shop.expect("web", {address(interface(cluster, namespace, "web", "net1"))})


def test_a_trace_says_which_step_refuses(shop: Shop, programs: Path) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    for name in ("web", "client"):
        cluster.apply(pod(name, namespace, networks="stage", labels={"app": name}))
    for name in ("web", "nobody"):
        cluster.apply(service(name, namespace, "stage", clusterIP=None, ipFamilies=["IPv4"]))
    for name in ("web", "client"):
        cluster.wait_pod_ready(name, namespace)
    mine = address(interface(cluster, namespace, "web", "net1"))

    def ask(*words: str) -> tuple[int, str]:
        binary = str(programs / "kubectl-multinet")
        every = [*words, "-n", namespace, f"--kubeconfig={cluster.kubeconfig}"]
        code, out, err = run_try([binary, *every])
        assert code in (0, 1), err
        return code, out

    def trace(name: str, client: str) -> tuple[int, dict[str, Any]]:
        code, out = ask("trace", f"service/{name}", "--from", f"pod/{client}", "-o", "json")
        return code, json.loads(out)

    def connects() -> bool:
        code, told = trace("web", "client")
        assert code == 0 and told["connects"], told
        assert [one["endpoint"] for one in told["endpoints"]] == [f"{mine}:8080"], told
        steps = {one["step"]: one["verdict"] for one in told["steps"]}
        assert steps == dict.fromkeys(
            ("service", "name", "pod", "interface", "node", "endpoints", "policy"), "passes"
        ), told
        return True

    cluster.wait(connects, 30, "a trace that passes")
    for name, client, step in (("web", "asker", "interface"), ("nobody", "client", "endpoints")):
        code, told = trace(name, client)
        assert (code, told["refusedBy"]) == (1, step), told
        assert all(one["do"] for one in told["steps"] if one["verdict"] == "refuses"), told
    _, drawn = ask("topology", "--network", "stage")
    assert re.search(rf"services: {namespace}/nobody \S+ 0/0/0, {namespace}/web \S+ 1/1/0", drawn)


def test_the_controller_counts_services(shop: Shop) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    cluster.apply(pod("web", namespace, networks="stage", labels={"app": "web"}))
    cluster.apply(service("web", namespace, "stage"))
    cluster.wait_pod_ready("web", namespace)
    shop.wait_reason("web", "Available", "Endpoints")
    controllers = [
        one["status"]["podIP"]
        for one in cluster.items("pods", "multinet-system")
        if one["metadata"]["name"].startswith("multinet-controller-")
    ]

    def counted() -> bool:
        told = "".join(
            cluster.node_exec(
                cluster.nodes[0], "busybox", "wget", "-qO-", f"http://{ip}:8081/metrics"
            )
            for ip in controllers
        )

        def most(series: str) -> float:
            found = re.findall(rf"^{re.escape('multinet_controller_' + series)} (\S+)$", told, re.M)
            return max(float(one) for one in found)

        assert most('services{reason="Accepted"}') >= 1, told
        assert most('service_endpoints{state="ready"}') >= 2, told
        assert most("slice_seconds_count") >= 1, told
        assert most("slice_seconds_sum") / most("slice_seconds_count") < 5, told
        return True

    cluster.wait(counted, 20, "the controller's count of services")


@pytest.mark.parametrize("families", [["IPv4"], ["IPv6"]], ids=["IPv4", "IPv6"])
def test_a_cluster_ip_leads_to_the_endpoints(shop: Shop, families: list[str]) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    cluster.apply(workload("Deployment", "web", namespace, "stage", 2))
    code, out, err = cluster.apply_try(
        service("web", namespace, "stage", clusterIP=None, ipFamilies=families)
    )
    assert code == 0 and "Warning" not in out + err, err
    for node in cluster.nodes[:2]:
        cluster.apply(pod(f"client-{node}", namespace, node=node, networks="stage"))
        cluster.wait_pod_ready(f"client-{node}", namespace)
    shop.rolled_out("deployment/web")
    shop.wait_reason("web", "Accepted")
    made = cluster.json("service", "web", namespace)
    assert made["spec"]["clusterIP"] in made["spec"]["clusterIPs"]
    assert made["metadata"]["labels"][LABEL_PROXY] == "multinet.dev"
    vip = made["spec"]["clusterIP"]
    url = f"http://[{vip}]/" if families == ["IPv6"] else f"http://{vip}/"
    names = {
        one["metadata"]["name"]
        for one in cluster.items("pods", namespace)
        if one["metadata"]["name"].startswith("web-")
    }
    for node in cluster.nodes[:2]:

        def both() -> bool:
            seen = {page_of(shop, f"client-{node}", url) for _ in range(24)}
            assert seen == names, seen
            return True

        cluster.wait(both, 20, f"each endpoint to be reached from {node}")
        told = cluster.json("nodenetworkset", node)["status"]["conditions"]
        (one,) = [one for one in told if one["type"] == "ServicesTranslated"]
        assert one["status"] == "True", one
    # By its name, too, which is the address' name.
    assert page_of(shop, f"client-{cluster.nodes[0]}", f"http://web.{namespace}/") in names
    assert shop.names_of(vip) == {f"web.{namespace}.svc.cluster.local"}

    # An endpoint that goes gets no more; another has all.
    gone = sorted(names)[0]
    cluster.pod_run(namespace, gone, "rm", "/tmp/ready")

    def left() -> bool:
        # Eight were all sent to the same of two now and then.
        seen = {page_of(shop, f"client-{cluster.nodes[0]}", url) for _ in range(24)}
        assert seen == names - {gone}, seen
        return True

    cluster.wait(left, 20, "the endpoint that isn't ready to be left alone")
    hold(left, 4, "what is asked of the other")
    cluster.pod_run(namespace, gone, "touch", "/tmp/ready")
    cluster.wait(both, 20, "both again")


def test_a_cluster_ip_without_an_endpoint_is_refused_at_once(
    shop: Shop, networks: Networks
) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    networks.add_ready(network("other", "10.69.0.0/24"))
    cluster.apply(service("web", namespace, "stage", clusterIP=None))
    node = cluster.nodes[0]
    cluster.apply(pod("client", namespace, node=node, networks="stage"))
    cluster.apply(pod("stranger", namespace, node=node, networks="other"))
    for name in ("client", "stranger"):
        cluster.wait_pod_ready(name, namespace)
    shop.wait_reason("web", "Accepted")
    url = f"http://{cluster.json('service', 'web', namespace)['spec']['clusterIP']}/"

    def refused() -> bool:
        got = page_of(shop, "client", url)
        assert "connection refused" in got, got
        return True

    cluster.wait(refused, 20, "the client to be refused")
    cluster.apply(workload("Deployment", "web", namespace, "stage", 1))
    shop.rolled_out("deployment/web")

    def served() -> bool:
        got = page_of(shop, "client", url)
        assert got.startswith("web-"), got
        return True

    cluster.wait(served, 20, "the client to be served")
    # Who is on another network is told so; who is on none isn't translated.
    assert "network is unreachable" in page_of(shop, "stranger", url)
    assert "connection refused" in page_of(shop, "asker", url)
    cluster.kubectl("scale", "deployment/web", "--replicas=0", "-n", namespace)
    cluster.wait(refused, 20, "the client to be refused again")

    def ended() -> bool:
        return all(one["metadata"]["name"] in others for one in cluster.items("pods", namespace))

    others = {"asker", "client", "stranger"}
    cluster.wait(ended, 20, "the endpoint's end")


# Says of each name that there is none: an answer, which is all that is asked.
NAME_SERVER = """
import socket
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server:
    server.bind(("::", 5353))
    while True:
        query, client = server.recvfrom(512)
        server.sendto(query[:2] + b"\\x81\\x83" + query[4:], client)
"""


def test_datagrams_to_a_cluster_ip_are_answered_by_it(shop: Shop) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    node, other = cluster.nodes[:2]
    cluster.apply(pod("dns", namespace, node=other, networks="stage", labels={"app": "dns"}))
    cluster.apply(pod("client", namespace, node=node, networks="stage"))
    ports = [{"name": "dns", "port": 53, "targetPort": 5353, "protocol": "UDP"}]
    cluster.apply(service("dns", namespace, "stage", clusterIP=None, ports=ports))
    for name in ("dns", "client"):
        cluster.wait_pod_ready(name, namespace)
    netns = places.pod_place(cluster, other, namespace, "dns").netns
    serve = f"timeout 60 nsenter --net={netns} python3 -c '{NAME_SERVER}' >/dev/null 2>&1 &"
    cluster.node_exec(other, "bash", "-c", serve)
    shop.wait_reason("dns", "Available", "Endpoints")
    address_of_service = cluster.json("service", "dns", namespace)["spec"]["clusterIP"]

    def answered() -> bool:
        _, out, err = cluster.pod_run_try(
            namespace, "client", "nslookup", "-type=a", "nobody.", address_of_service
        )
        assert "NXDOMAIN" in out + err, out + err
        assert address_of_service in out, out
        return True

    cluster.wait(answered, 30, "an answer to a datagram")


COUNT = """
i=0; ok=0; bad=0
while [ ! -e /tmp/stop ]; do
  if printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 3 {address} 80 | grep -q web-; then
    ok=$((ok+1))
  else
    bad=$((bad+1))
  fi
done
echo $ok $bad >/tmp/counted
"""


def served_client(shop: Shop, node: str, replicas: int) -> tuple[str, Callable[[], bool]]:
    """Pod `client` on the node, which web serves by a ClusterIP; that, and whether it is served now."""
    cluster, namespace = shop.cluster, shop.namespace
    cluster.apply(workload("Deployment", "web", namespace, "stage", replicas))
    cluster.apply(service("web", namespace, "stage", clusterIP=None))
    cluster.apply(pod("client", namespace, node=node, networks="stage"))
    cluster.wait_pod_ready("client", namespace)
    shop.rolled_out("deployment/web")
    vip = cluster.json("service", "web", namespace)["spec"]["clusterIP"]

    def served() -> bool:
        return page_of(shop, "client", f"http://{vip}/").startswith("web-")

    cluster.wait(served, 20, "the client to be served")
    return vip, served


def test_a_cluster_ip_goes_on_without_the_agent(shop: Shop) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    node = cluster.nodes[0]
    vip, served = served_client(shop, node, 2)
    script = "( " + COUNT.format(address=vip) + " ) >/dev/null 2>&1 &"
    cluster.pod_run(namespace, "client", "sh", "-c", script)
    for _ in range(3):
        mark = len(cluster.log(node, "agent"))
        cluster.kill(node, "agent")

        def adopted() -> str:
            found = re.search(
                r"translating services on networks (.*)", cluster.log(node, "agent")[mark:]
            )
            assert found, "not yet"
            return found[1]

        told = cluster.wait(adopted, 30, "the next agent to take over")
        assert "writes=0" in told, told
        assert "endpoints=0" not in told, told
    hold(served, 3, "what is served")
    cluster.pod_run(namespace, "client", "touch", "/tmp/stop")

    def counted() -> tuple[int, int]:
        ok, bad = cluster.pod_run(namespace, "client", "cat", "/tmp/counted").split()
        return int(ok), int(bad)

    ok, bad = cluster.wait(counted, 20, "the count")
    assert bad == 0 and ok > 20, f"{bad} of {ok + bad} connections were lost"


def test_a_cluster_ip_outlives_its_place_in_the_file_system(shop: Shop) -> None:
    """What goes with it is back within 30 s, and the next agent goes on with that."""
    cluster = shop.cluster
    node = cluster.nodes[0]
    _, served = served_client(shop, node, 1)
    cluster.node_exec(node, "umount", "--lazy", "/run/multinet/bpf")
    # With it go the links of the programs, which the agent looks after.
    cluster.wait(served, 45, "the agent to attach its programs again")
    cluster.restart_agent(node)
    cluster.wait(served, 30, "the client to be served again")


def test_what_it_is_made_for_never_changes(shop: Shop) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    cluster.apply(service("web", namespace, "stage", ipFamilies=["IPv4"]))
    for field, value in (
        ("podNetworkName", "other"),
        ("clusterIP", None),
        ("ipFamilies", ["IPv6"]),
        ("ipFamilies", None),
        ("type", "ExternalName"),
    ):
        change = json.dumps({"spec": {field: value}})
        code, _, err = cluster.kubectl_try(
            "patch", "podnetworkservice", "web", "-n", namespace, "--type=merge", "-p", change
        )
        assert code != 0, field
        assert re.search(f"{field} can't change.*; make another service", err), err


def test_an_outside_name_passes_through(shop: Shop) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    # A name that the cluster's own DNS has, so that nothing outside is asked.
    leads = "kubernetes.default.svc.cluster.local"
    cluster.apply(service("out", namespace, "stage", **(OUTSIDE | {"externalName": leads})))
    shop.wait_reason("out", "Accepted")

    def answered() -> bool:
        said = "\n".join(shop.ask("out"))
        assert leads in said, said
        return True

    cluster.wait(answered, FOLLOWED_WITHIN, "the name to lead there")
    made = cluster.json("service", "out", namespace)["spec"]
    assert made["type"] == "ExternalName" and made["externalName"] == leads
    assert not shop.slices("out")
    assert shop.told("out", "Endpoints") == {}


def test_an_address_of_ones_choice_and_annotations_pass_on(shop: Shop) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    cluster.apply(service("first", namespace, "stage", clusterIP=None, ipFamilies=["IPv4"]))
    shop.wait_reason("first", "Accepted")
    chosen = cluster.json("service", "first", namespace)["spec"]["clusterIP"]
    cluster.delete("podnetworkservice", "first", namespace)
    cluster.wait(lambda: not cluster.exists("service", "first", namespace), 20, "its Service's end")

    made = json.loads(service("vip", namespace, "stage", clusterIP=chosen))
    made["spec"]["ipFamilyPolicy"] = "SingleStack"
    made["metadata"]["annotations"] = {"example.com/note": "mine"}
    cluster.apply(json.dumps(made))
    shop.wait_reason("vip", "Accepted")
    standing = cluster.json("service", "vip", namespace)
    assert standing["spec"]["clusterIPs"] == [chosen]
    assert standing["metadata"]["annotations"]["example.com/note"] == "mine"
    assert not [one for one in standing["metadata"]["annotations"] if one.startswith("kubectl")]
    theirs = {"metadata": {"annotations": {"example.com/state": "theirs"}}}
    patch = ("patch", "service", "vip", "-n", namespace, "--type=merge", "-p", json.dumps(theirs))
    cluster.kubectl(*patch)

    made["metadata"]["annotations"] = {}
    made["spec"]["ipFamilyPolicy"] = "PreferDualStack"
    cluster.apply(json.dumps(made))

    def followed() -> bool:
        now = cluster.json("service", "vip", namespace)
        assert now["spec"]["ipFamilyPolicy"] == "PreferDualStack"
        assert now["spec"]["clusterIPs"][0] == chosen
        notes = now["metadata"]["annotations"]
        assert "example.com/note" not in notes and notes["example.com/state"] == "theirs", notes
        return True

    cluster.wait(followed, 10, "the Service to follow")
