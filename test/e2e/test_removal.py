"""Taking it off again, as docs/install.md says: every command ends by itself, and nothing is left."""

from __future__ import annotations

from e2elib.cluster import AGENT_SOCKET, REPOSITORY, RUNTIME_SOCKET, Cluster
from e2elib.objects import attachment, macvlan, network, vxlan, wait_served
from e2elib.places import node_place, switch
from e2elib.pods import pod

NAMES = ("removed-vxlan", "removed-bridge", "removed-macvlan")
OURS = ("mnb", "mnx", "mnv", "br-removed")


def left_on(cluster: Cluster, node: str) -> list[str]:
    """Links and tables of ours, in the node's namespace and in the switch's."""
    places = {place.netns: place for place in (node_place(cluster, node), switch(cluster, node))}
    found = []
    for place in places.values():
        found += [one["ifname"] for one in place.links() if one["ifname"].startswith(OURS)]
        found += [
            line for line in place.run("nft", "list", "tables").splitlines() if "multinet" in line
        ]
    return found


def test_nothing_is_left(deployed: Cluster, namespace: str) -> None:
    deployed.apply(vxlan(NAMES[0], "10.50.1.0/24", vni=7050))
    deployed.apply(network(NAMES[1], "10.50.2.0/24", bridge={"name": "br-removed"}))
    deployed.apply(macvlan(NAMES[2], "eth1", "192.168.50.0/24"))
    deployed.apply(attachment("removed", namespace, NAMES[0]))
    wait_served(deployed, *NAMES)
    deployed.apply(pod("plain", namespace, node=deployed.nodes[0]))
    for node in deployed.nodes:
        deployed.apply(pod(f"asks-{node}", namespace, node=node, networks=", ".join(NAMES)))
    for name in ("plain", *(f"asks-{node}" for node in deployed.nodes)):
        deployed.wait_pod_ready(name, namespace, 60)
    for node in deployed.nodes:
        deployed.delete("pod", f"asks-{node}", namespace, "--grace-period=1")

    deployed.kubectl("delete", "podnetworkattachments", "--all", "-A", "--timeout=30s")
    deployed.kubectl("delete", "podnetworks", "--all", "--timeout=40s")
    for node in deployed.nodes:
        deployed.wait(lambda node=node: not left_on(deployed, node), 20, f"nothing on {node}")
    deployed.kubectl("delete", "-k", str(REPOSITORY / "deploy"), "--timeout=55s")
    assert "multinet" not in deployed.kubectl("get", "crds", "-o", "name")
    assert not deployed.exists("namespace", "multinet-system")

    for node in deployed.nodes:
        file = deployed.record.layout.machine(node).etc / "kubelet.yaml"
        file.write_text(file.read_text().replace(AGENT_SOCKET, RUNTIME_SOCKET))
        deployed.restart(node, "kubelet")
        deployed.stop(node, "agent")
        assert left_on(deployed, node) == []
    deployed.apply(pod("after", namespace, node=deployed.nodes[0]))
    for name in ("plain", "after"):
        deployed.wait_pod_ready(name, namespace, 60)
