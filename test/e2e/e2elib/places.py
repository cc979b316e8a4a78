"""Network namespaces of a node: its own, a pod's, the one in which the agent keeps its switch."""

from __future__ import annotations

import json
from typing import Any

from collectlib.node import NAMESPACES
from e2elib.cluster import AGENT_SOCKET, RUNTIME_SOCKET, Cluster


class Place:
    """A network namespace in which commands of the node run, with all rights."""

    def __init__(self, cluster: Cluster, node: str, netns: str) -> None:
        self.cluster = cluster
        self.node = node
        self.netns = netns  # path; empty: the node's own
        self._enter = ["nsenter", f"--net={netns}", "--"] if netns else []

    def run(self, *command: str) -> str:
        return self.cluster.node_exec(self.node, *self._enter, *command)

    def ip(self, *arguments: str) -> str:
        return self.run("ip", *arguments)

    def links(self) -> list[dict[str, Any]]:
        return list(json.loads(self.ip("-j", "-d", "link")))

    def link(self, name: str) -> dict[str, Any] | None:
        return next((one for one in self.links() if one["ifname"] == name), None)

    def by_alias(self, alias: str, kind: str) -> str:
        """The name of the link of this kind (bridge, vxlan, veth) with the alias."""
        (found,) = [
            str(one["ifname"])
            for one in self.links()
            if one.get("ifalias") == alias and one.get("linkinfo", {}).get("info_kind") == kind
        ]
        return found


def node_place(cluster: Cluster, node: str) -> Place:
    return Place(cluster, node, "")


def switch(cluster: Cluster, node: str) -> Place:
    """Where bridges, tunnels and the node's ends of veths are: a namespace of the agent's own below
    its run directory, or, where it has none, the node's."""
    for netns in cluster.node_exec(node, "bash", "-c", NAMESPACES).split():
        if netns.startswith("/run/multinet/"):
            return Place(cluster, node, netns)
    return node_place(cluster, node)


def sandboxes(cluster: Cluster, node: str, namespace: str, name: str) -> list[str]:
    """IDs of a pod's running sandboxes, as the runtime tells them."""
    listed = cluster.node_exec(
        node, "crictl", f"--runtime-endpoint=unix://{RUNTIME_SOCKET}", "pods", "--state", "ready",
        "--namespace", f"^{namespace}$", "--name", f"^{name}$", "-o", "json",
    )  # fmt: skip
    return [str(entry["id"]) for entry in json.loads(listed)["items"]]


def attached(cluster: Cluster, node: str, sandbox: str) -> list[str]:
    """Names of the interfaces that the agent tells of a sandbox."""
    told = cluster.node_exec(
        node, "crictl", f"--runtime-endpoint=unix://{AGENT_SOCKET}", "inspectp", sandbox
    )
    return [str(entry["name"]) for entry in json.loads(told)["multinet"].get("interfaces", [])]


def pod_place(cluster: Cluster, node: str, namespace: str, name: str) -> Place:
    """The namespace of a pod's one running sandbox."""
    (sandbox,) = sandboxes(cluster, node, namespace, name)
    told = json.loads(cluster.node_exec(node, "crictl", "inspectp", sandbox))
    namespaces = told["info"]["runtimeSpec"]["linux"]["namespaces"]
    (netns,) = [entry["path"] for entry in namespaces if entry["type"] == "network"]
    return Place(cluster, node, netns.replace("/var/run/", "/run/"))
