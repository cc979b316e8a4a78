"""A node joins a network with its first pod of it: then it makes bridge and tunnel and tells the other
nodes, and not before."""

from __future__ import annotations

from e2elib.checks import assert_clean
from e2elib.cluster import Cluster
from e2elib.networks import Networks
from e2elib.objects import address, interface, network, node_conditions, vxlan
from e2elib.ping import Pinger
from e2elib.places import switch
from e2elib.pods import WAIT_FOR_END, pod

NAME = "joined"
_SECONDS = 40  # 30 and what a busy machine adds


def peers(cluster: Cluster) -> set[str]:
    """Nodes that take part in the network, as the others hear of it."""
    all_peers = cluster.items("networkpeers")
    return {one["nodeName"] for one in all_peers if one["podNetworkName"] == NAME}


def links(cluster: Cluster, node: str, uid: str) -> list[str]:
    """What the node has of the network."""
    alias = f"multinet-network:{uid}"
    return [one["ifname"] for one in switch(cluster, node).links() if one.get("ifalias") == alias]


def test_the_first_pod_of_a_node_reaches_the_others_at_its_first_try(
    deployed: Cluster, networks: Networks, namespace: str
) -> None:
    here, there = deployed.nodes
    networks.add_ready(vxlan(NAME, "10.46.1.0/24"))
    uid = networks.uid(NAME)
    deployed.apply(pod("answers", namespace, node=there, networks=NAME))
    deployed.wait_pod_ready("answers", namespace)
    target = address(interface(deployed, namespace, "answers", "net1"))
    assert peers(deployed) == {there}
    assert links(deployed, here, uid) == []
    assert NAME not in node_conditions(deployed, here)

    script = f"ping -c1 -W1 {target} >/tmp/told 2>&1; echo $? >/tmp/first; {WAIT_FOR_END}"
    deployed.apply(pod("asks", namespace, node=here, networks=NAME, script=script))
    deployed.wait_pod_ready("asks", namespace)

    def tried() -> str:
        return deployed.pod_run_try(namespace, "asks", "cat", "/tmp/first")[1].strip()

    code = deployed.wait(tried, 10, "the first ping to end")
    told = deployed.pod_run(namespace, "asks", "cat", "/tmp/told")
    assert code == "0", told
    assert peers(deployed) == {here, there}
    assert len(links(deployed, here, uid)) == 2

    def reported() -> bool:
        ready = node_conditions(deployed, here)[NAME]
        assert (ready["status"], ready["reason"]) == ("True", "Ready"), ready
        return True

    deployed.wait(reported, 10, "the node to report what it joined")
    assert_clean(deployed)


def test_what_runs_stays_when_the_agent_starts_and_the_last_pod_ends_meanwhile(
    deployed: Cluster, networks: Networks, namespace: str
) -> None:
    here, there = deployed.nodes
    networks.add_ready(vxlan(NAME, "10.46.2.0/24"))
    uid = networks.uid(NAME)
    for name, node in (("last", here), ("stays", there)):
        deployed.apply(pod(name, namespace, node=node, networks=NAME))
        deployed.wait_pod_ready(name, namespace)
    before = switch(deployed, here).links()
    deployed.stop(here, "agent")
    deployed.delete("pod", "last", namespace, "--wait=false")
    deployed.start(here, "agent")
    deployed.wait(
        lambda: not deployed.exists("pod", "last", namespace), _SECONDS, "the last pod to end"
    )
    mine = set(links(deployed, here, uid))
    now = {one["ifname"]: one["ifindex"] for one in switch(deployed, here).links()}
    assert len(mine) == 2, "kept for a while, for the next one"
    for one in before:
        if one["ifname"] in mine:
            assert now[one["ifname"]] == one["ifindex"], f"{one['ifname']} was made again"
    assert peers(deployed) == {here, there}
    deployed.apply(pod("next", namespace, node=here, networks=NAME))
    deployed.wait_pod_ready("next", namespace)
    target = address(interface(deployed, namespace, "stays", "net1"))
    Pinger(deployed, namespace, "next").wait(target, 15)
    assert_clean(deployed)


def test_an_admin_may_want_it_on_every_node(deployed: Cluster, networks: Networks) -> None:
    networks.add_ready(network(NAME, "10.46.3.0/24"))
    uid = networks.uid(NAME)
    assert all(links(deployed, node, uid) == [] for node in deployed.nodes)
    patch = '{"spec": {"join": "Always"}}'
    deployed.kubectl("patch", "podnetwork", NAME, "--type=merge", "-p", patch)

    def made() -> bool:
        for node in deployed.nodes:
            assert links(deployed, node, uid) != [], f"{node} hasn't joined"
            assert node_conditions(deployed, node)[NAME]["status"] == "True"
        return True

    deployed.wait(made, _SECONDS, "every node to join")
    assert_clean(deployed)
