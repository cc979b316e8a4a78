"""What Multinet left in a cluster and on its nodes."""

from __future__ import annotations

from e2elib.cluster import Cluster
from e2elib.places import node_place

OURS = ("mnb", "mnx", "mnv", "mng", "br-removed")


def gateways_on(cluster: Cluster, node: str) -> list[str]:
    """What leads clients into networks: pairs of links, gateways' namespaces, the node's table."""
    place = node_place(cluster, node)
    found = [one["ifname"] for one in place.links() if one["ifname"].startswith("mng")]
    tables = place.run("nft", "list", "tables").splitlines()
    found += [line for line in tables if "multinet_services" in line]
    _, kept, _ = cluster.node_exec_try(node, "find", "/run/multinet/gateways", "-mindepth", "1")
    return found + kept.split()


def on_node(cluster: Cluster, node: str) -> list[str]:
    """Links, nftables' tables, the switch, programs; in the node's namespace, and in the switch's where there
    is one."""
    place = node_place(cluster, node)
    found = [one["ifname"] for one in place.links() if one["ifname"].startswith(OURS)]
    tables = place.run("nft", "list", "tables").splitlines()
    found += [line for line in tables if "multinet" in line]
    for path in ("/run/multinet/switch", "/run/multinet/bpf", "/run/multinet/gateways"):
        code, _, _ = cluster.node_exec_try(node, "ls", "-d", path)
        if code == 0:
            found.append(path)
    return found


def in_cluster(cluster: Cluster) -> list[str]:
    """Kinds, rights, admission, the namespace: whatever has our name or group."""
    kinds = (
        "crd", "clusterroles", "clusterrolebindings", "namespaces",
        "validatingwebhookconfigurations", "mutatingwebhookconfigurations",
        "validatingadmissionpolicies", "validatingadmissionpolicybindings",
    )  # fmt: skip
    names = cluster.kubectl("get", ",".join(kinds), "-o", "name").split()
    return [name for name in names if "multinet" in name]
