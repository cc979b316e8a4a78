"""A plain pod can't tell whether there is an agent; a kubelet that goes past it is noticed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from e2elib.checks import assert_clean
from e2elib.cluster import AGENT_SOCKET, RUNTIME_SOCKET, Cluster, condition
from e2elib.events import wait_event
from e2elib.networks import Networks
from e2elib.objects import network
from e2elib.places import node_place, pod_place
from e2elib.pods import pod

NAME = "bypassed"
_SECONDS = 45  # 30 and what a busy machine adds
_METRICS = "127.0.0.1:9091"


@pytest.fixture(scope="module", autouse=True)
def served(deployed: Cluster) -> Iterator[None]:
    networks = Networks(deployed)
    networks.add_served(network(NAME, "10.49.0.0/24"))
    yield
    networks.remove()


@contextmanager
def kubelet_past_the_agent(cluster: Cluster, node: str) -> Iterator[None]:
    """As an upgrade of the kubelet's configuration can do."""
    file = cluster.record.layout.machine(node).etc / "kubelet.yaml"
    text = file.read_text()
    assert AGENT_SOCKET in text
    file.write_text(text.replace(AGENT_SOCKET, RUNTIME_SOCKET))
    cluster.restart(node, "kubelet")
    try:
        yield
    finally:
        file.write_text(text)
        cluster.restart(node, "kubelet")


def seen_from_inside(cluster: Cluster, node: str, namespace: str, name: str) -> dict[str, str]:
    """What a pod can tell of the machine that it runs on, without what is each pod's own."""
    place = pod_place(cluster, node, namespace, name)
    told = {
        "links": place.ip("-d", "link"),
        "addresses": place.ip("address"),
        "routes": place.ip("route", "show", "table", "all"),
        "routes6": place.ip("-6", "route", "show", "table", "all"),
        "rules": place.ip("rule"),
        "nftables": place.run("nft", "list", "ruleset"),
        "sysctls": place.run("sysctl", "-a", "-r", r"^net\.(ipv4|ipv6)\.(conf|neigh)\."),
        "environment": cluster.pod_exec(namespace, name, "env"),
        "mounts": cluster.pod_exec(namespace, name, "cut", "-d ", "-f2-4", "/proc/mounts"),
        "capabilities": cluster.pod_exec(namespace, name, "grep", "Cap", "/proc/self/status"),
        "resolver": cluster.pod_exec(namespace, name, "cat", "/etc/resolv.conf"),
        "hosts": cluster.pod_exec(namespace, name, "cat", "/etc/hosts"),
    }
    return {what: _anonymous(text, name) for what, text in told.items()}


def _anonymous(text: str, name: str) -> str:
    """Without names, MACs, addresses of the pods' range and numbers of links, that differ anyway."""
    text = text.replace(name, "NAME")
    text = re.sub(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", "MAC", text)
    text = re.sub(r"fe80::[0-9a-f:]+", "LOCAL", text)
    text = re.sub(r"10\.91\.\d+\.(?!0\b|1\b|255\b)\d+", "POD4", text)
    text = re.sub(r"fd91:0:0:[0-9a-f]+::(?!1\b)[0-9a-f]+", "POD6", text)
    text = re.sub(r"eth0@if\d+", "eth0@IF", text)
    text = re.sub(r"(link-netnsid|reachable_time|base_reachable_time_ms) *=? *\d+", r"\1", text)
    return "\n".join(sorted(text.splitlines()))


def test_a_plain_pod_sees_no_difference(deployed: Cluster, namespace: str) -> None:
    """With the agent, after its replacement, and where the kubelet talks to the runtime itself."""
    node = deployed.nodes[0]

    def made(name: str) -> dict[str, str]:
        deployed.apply(pod(name, namespace, node=node))
        deployed.wait_pod_ready(name, namespace)
        return seen_from_inside(deployed, node, namespace, name)

    first = made("with-it")
    deployed.restart_agent(node)
    assert seen_from_inside(deployed, node, namespace, "with-it") == first
    assert made("after-it") == first
    with kubelet_past_the_agent(deployed, node):
        assert made("without") == first
        assert seen_from_inside(deployed, node, namespace, "with-it") == first
        deployed.stop(node, "agent")
        try:
            assert seen_from_inside(deployed, node, namespace, "after-it") == first
            deployed.delete("pod", "with-it", namespace, "--grace-period=1", "--timeout=30s")
        finally:
            deployed.start(node, "agent")
    for name in ("after-it", "without"):
        deployed.wait_pod_ready(name, namespace)


def test_the_agent_leaves_the_nodes_own_network_alone(deployed: Cluster, namespace: str) -> None:
    """With its networks gone, a node is what it was without an agent: nothing of it is left beside
    its state, and a restart changes nothing."""
    place = node_place(deployed, deployed.nodes[1])

    def network_of_the_node() -> dict[str, object]:
        links = [
            (one["ifname"], one["mtu"], one.get("master", ""), one.get("ifalias", ""))
            for one in place.links()
            if not one["ifname"].startswith("veth")
        ]
        return {
            "links": sorted(links),
            "addresses": re.findall(r"inet6? (\S+)", place.ip("address", "show", "eth0")),
            "routes": place.ip("route"),
            "rules": place.ip("rule"),
            "sysctls": place.run("sysctl", "-a", "-r", r"^net\.ipv4\.(conf\.(all|eth0)|ip_)"),
        }

    before = network_of_the_node()
    deployed.restart_agent(deployed.nodes[1])
    assert network_of_the_node() == before


def told_of_node(cluster: Cluster, node: str, *wanted: str) -> None:
    """Waits until the node's condition AgentBypassed is one of these."""

    def told() -> bool:
        has = condition(cluster.json("nodenetworkset", node), "AgentBypassed")
        assert has in wanted, has
        return True

    cluster.wait(told, _SECONDS, f"AgentBypassed of {node} to be {' or '.join(wanted)}")


def test_a_kubelet_that_goes_past_the_agent_is_noticed(deployed: Cluster, namespace: str) -> None:
    node = deployed.nodes[0]
    with kubelet_past_the_agent(deployed, node):
        deployed.apply(pod("asks", namespace, node=node, networks=NAME))
        told = wait_event(deployed, namespace, "asks", "AgentBypassed", timeout=_SECONDS)
        assert "kubelet" in told, told
        # It runs, as the kubelet made it; but Ready it can't become.
        assert condition(deployed.json("pod", "asks", namespace), "Ready") != "True"

        def metered() -> bool:
            url = f"http://{_METRICS}/metrics"
            out = deployed.node_exec(node, "busybox", "wget", "-q", "-O-", url)
            counted = 'multinet_agent_doubted_sandboxes{reason="NoLinks"}'
            (line,) = [one for one in out.splitlines() if one.startswith(counted)]
            assert float(line.split()[-1]) > 0, line
            return True

        deployed.wait(metered, 15, "the metric to count it")

        told_of_node(deployed, node, "True")
        deployed.delete("pod", "asks", namespace, "--grace-period=1", "--timeout=30s")
    deployed.apply(pod("asks", namespace, node=node, networks=NAME))
    deployed.wait_pod_ready("asks", namespace, 60)
    told_of_node(deployed, node, "False", "missing")
    assert_clean(deployed, 30)
