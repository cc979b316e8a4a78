"""No network can take from a node, or from a pod that asked for nothing, what they live by; and nothing
of theirs gets in the way of the pods' networks."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from e2elib.admission import try_out
from e2elib.checks import assert_clean
from e2elib.cluster import Cluster, condition
from e2elib.networks import Networks
from e2elib.objects import address, interface, macvlan, network, node_condition, vxlan, wait_served
from e2elib.ping import Pinger
from e2elib.places import node_place
from e2elib.pods import WAIT_FOR_END, pod
from e2elib.waiting import hold

CONTROL_PLANE = ("10.90.0.1", "fd90::1")
GUARD = ("list", "table", "inet", "multinet")
_LOOKS = 6  # seconds: the agent acts at once on a network that is new
_SECONDS = 40  # 30 and what a busy machine adds


@pytest.fixture(autouse=True)
def whole_nodes(deployed: Cluster) -> Iterator[None]:
    """Where a test fails, the next one has nodes all the same."""
    yield
    for node in deployed.nodes:
        for table in ("firewall", "watcher"):
            deployed.node_exec_try(node, "nft", "delete", "table", "inet", table)
        deployed.node_exec_try(node, "ip", "link", "set", "eth0", "nomaster")
        deployed.node_exec_try(node, "ip", "link", "del", "foreign")


def nft(cluster: Cluster, node: str, rules: str) -> None:
    file = cluster.node_file(node, "/run/rules.nft")
    file.write_text(rules)
    cluster.node_exec(node, "nft", "-f", "/run/rules.nft")


def resolves(cluster: Cluster, namespace: str, name: str) -> bool:
    query = ("nslookup", "kubernetes.default.svc.cluster.local")
    return cluster.pod_run_try(namespace, name, *query)[0] == 0


def test_a_ruleset_that_is_flushed_is_made_again_and_traffic_goes_on(
    deployed: Cluster, networks: Networks, namespace: str
) -> None:
    """As a firewall's own start does: `nft -f` of a file that begins with `flush ruleset`."""
    here, there = deployed.nodes
    networks.add_served(vxlan("flushed", "10.44.1.0/24"))
    for name, node in (("asks", here), ("answers", there)):
        deployed.apply(pod(name, namespace, node=node, networks="flushed"))
    for name in ("asks", "answers"):
        deployed.wait_pod_ready(name, namespace)
    asks = Pinger(deployed, namespace, "asks")
    target = address(interface(deployed, namespace, "answers", "net1"))
    asks.wait(target, 15)
    asks.start(target)
    before = deployed.node_exec(here, "nft", "-s", *GUARD)
    deployed.node_exec(here, "nft", "flush", "ruleset")
    deployed.restart(here, "kube-proxy")  # its rules went as well

    def again() -> bool:
        now = deployed.node_exec(here, "nft", "-s", *GUARD)
        assert without_counts(now) == without_counts(before), now
        return True

    deployed.wait(again, _SECONDS, "the guard to be there again")
    counted = asks.stop()
    assert counted.lost <= 1, counted


def without_counts(rules: str) -> str:
    return " ".join(word for word in rules.split() if not word.isdigit())


def test_the_nodes_firewall_sees_nothing_of_the_pods_networks(
    deployed: Cluster, networks: Networks, namespace: str
) -> None:
    """FORWARD drops all but the cluster's own, and bridged frames pass it (br_netfilter)."""
    here, there = deployed.nodes
    sysctl = deployed.node_exec_try(here, "sysctl", "-w", "net.bridge.bridge-nf-call-iptables=1")
    if sysctl[0] != 0:
        pytest.skip("this kernel has no br_netfilter")
    networks.add_served(vxlan("walled", "10.44.2.0/24"), network("walled-too", "10.44.3.0/24"))
    both = "walled, walled-too"
    for name, node in (("asks", here), ("near", here), ("far", there)):
        deployed.apply(pod(name, namespace, node=node, networks=both))
    for name in ("asks", "near", "far"):
        deployed.wait_pod_ready(name, namespace)
    accepted = "ip saddr 10.91.0.0/16 accept; ip daddr 10.91.0.0/16 accept;"
    rules = (
        f"type filter hook forward priority 0; policy drop; meta nfproto ipv6 accept; {accepted}"
    )
    nft(deployed, here, f"table inet firewall {{ chain forward {{ {rules} }}; }}\n")
    asks = Pinger(deployed, namespace, "asks")
    for name, link in (("near", "net1"), ("far", "net1"), ("near", "net2")):
        target = address(interface(deployed, namespace, name, link))
        assert asks.reaches(target) or asks.reaches(target), f"{name} by {link}"


def test_two_networks_with_one_subnet_share_no_flow(
    deployed: Cluster, networks: Networks, namespace: str
) -> None:
    """The same addresses, the same ports, on one node, at the same time; and the node's rules, whose
    conntrack could take them for one, see neither."""
    node = deployed.nodes[0]
    names = ("left", "right")
    networks.add_served(*(network(name, "10.44.4.0/30") for name in names))
    serve = f"while :; do (echo $NAME; sleep 3) | nc -l -p 7000; done & {WAIT_FOR_END}"
    pods = [f"{name}-{one}" for name in names for one in ("a", "b")]
    for each in pods:
        name = each.partition("-")[0]
        script = serve.replace("$NAME", name)
        deployed.apply(pod(each, namespace, node=node, networks=name, script=script))
    for each in pods:
        deployed.wait_pod_ready(each, namespace)
    # In both networks the lower address asks the higher one.
    by_address = {
        (each.partition("-")[0], address(interface(deployed, namespace, each, "net1"))): each
        for each in pods
    }
    asking, asked = "10.44.4.1", "10.44.4.2"
    assert {found for _, found in by_address} == {asking, asked}
    watch = "ip saddr 10.44.4.0/30 counter; ct state invalid drop;"
    rules = f"type filter hook forward priority 0; policy accept; {watch}"
    nft(deployed, node, f"table inet watcher {{ chain forward {{ {rules} }}; }}\n")

    def answer(name: str) -> str:
        """What the server says over a connection that lasts for three seconds."""
        script = f"nc -p 6000 -w 5 {asked} 7000 </dev/null"
        asks = by_address[name, asking]
        return deployed.pod_run(namespace, asks, "sh", "-c", script).strip()

    with ThreadPoolExecutor(len(names)) as pool:
        assert list(pool.map(answer, names)) == list(names)
    seen = deployed.node_exec(node, "nft", "list", "table", "inet", "watcher")
    assert "counter packets 0 bytes 0" in seen, seen


def test_another_systems_tunnel_on_the_same_port_lives_on(
    deployed: Cluster, networks: Networks
) -> None:
    ends = dict(zip(deployed.nodes, ("11", "12"), strict=True))
    for node, end in ends.items():
        other = "12" if end == "11" else "11"
        place = node_place(deployed, node)
        place.ip("address", "add", f"192.0.2.{end}/24", "dev", "eth1")
        place.ip(
            "link", "add", "foreign", "type", "vxlan", "id", "77", "dstport", "8472", "dev", "eth1",
            "local", f"192.0.2.{end}", "remote", f"192.0.2.{other}",
        )  # fmt: skip
        place.ip("address", "add", f"198.51.100.{end}/24", "dev", "foreign")
        place.ip("link", "set", "foreign", "up")
    node = deployed.nodes[0]

    def reached() -> bool:
        return deployed.node_exec_try(node, "ping", "-c1", "-w2", "198.51.100.12")[0] == 0

    try:
        deployed.wait(reached, 15, "the foreign tunnel to work before")
        wanted = vxlan("shared-port", "10.44.5.0/24", vxlan={"port": 8472}, join="Always")
        code, err = try_out(deployed, wanted)
        if code != 0:
            assert "8472" in err, err
            return
        networks.add(wanted)

        def judged() -> bool:
            return node_condition(deployed, node, "shared-port") != {}

        deployed.wait(judged, 20, "the node to judge the network")
        hold(reached, _LOOKS, "the foreign tunnel")
        ready = node_condition(deployed, node, "shared-port")
        assert ready["status"] == "True" or "foreign" in ready["message"], ready
    finally:
        for each, end in ends.items():
            deployed.node_exec(each, "ip", "address", "del", f"192.0.2.{end}/24", "dev", "eth1")


@pytest.mark.parametrize("port", [53, 123, 443, 1023])
def test_a_well_known_port_is_refused_for_tunnels(deployed: Cluster, port: int) -> None:
    code, err = try_out(deployed, vxlan("well-known", "10.44.6.0/24", vxlan={"port": port}))
    assert code != 0, f"port {port} is taken by {err}"
    assert "spec.vxlan.port" in err, err
    assert str(port) in err, err


def alive(cluster: Cluster) -> bool:
    """Each node reaches the control plane by both families, also with nothing learnt."""
    for node in cluster.nodes:
        told = cluster.node_exec(node, "ip", "-o", "link", "show", "eth0")
        assert " master " not in told, told
        cluster.node_exec(node, "ip", "neighbour", "flush", "dev", "eth0")
        for target in CONTROL_PLANE:
            cluster.node_exec(node, "ping", "-c1", "-w3", target)
        assert condition(cluster.json("node", node), "Ready") == "True"
    return True


HOSTILE = {
    "uplink": network("lifeline", "10.44.7.0/24", bridge={"uplink": "eth0"}, join="Always"),
    "passthru": macvlan(
        "lifeline", "eth0", macvlan={"parent": "eth0", "mode": "Passthru"}, join="Always"
    ),
    "the pods' bridge": network(
        "lifeline", "10.44.7.0/24", bridge={"uplink": "cni0"}, join="Always"
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_device_that_the_node_lives_by_is_left_alone(
    deployed: Cluster, networks: Networks, namespace: str, kind: str
) -> None:
    for node in deployed.nodes:
        deployed.apply(pod(f"plain-{node}", namespace, node=node))  # so that there is a cni0
        deployed.wait_pod_ready(f"plain-{node}", namespace)
    code, err = try_out(deployed, HOSTILE[kind])
    if code != 0:
        assert "eth0" in err or "cni0" in err, err
        return
    networks.add(HOSTILE[kind])
    device = "cni0" if "cni0" in HOSTILE[kind] else "eth0"

    def refused() -> bool:
        for node in deployed.nodes:
            ready = node_condition(deployed, node, "lifeline")
            assert ready["status"] == "False", ready
            assert device in ready["message"], ready
        return True

    deployed.wait(refused, 20, "both nodes to refuse the device")
    node = deployed.nodes[1]
    deployed.apply(pod("asks", namespace, node=node, networks="lifeline"))
    hold(lambda: alive(deployed), _LOOKS, "both nodes")
    assert condition(deployed.json("pod", "asks", namespace), "Ready") != "True"
    assert resolves(deployed, namespace, f"plain-{node}")
    deployed.delete("pod", "asks", namespace, "--grace-period=1")
    deployed.delete("podnetwork", "lifeline", "", "--timeout=40s")


def test_in_the_end_all_agree(deployed: Cluster) -> None:
    deployed.apply(vxlan("afterwards", "10.44.9.0/24", join="Always"))
    try:
        wait_served(deployed, "afterwards")
        assert_clean(deployed, 40)
    finally:
        deployed.delete("podnetwork", "afterwards", "", "--timeout=40s")
