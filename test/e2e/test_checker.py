"""The checker sees the real kernel and the real store: a planted fault is found, and only then."""

from __future__ import annotations

import json

from e2elib.checks import assert_clean, findings
from e2elib.cluster import Cluster
from e2elib.pods import pod


def test_a_planted_link_is_found_as_a_leak(cluster: Cluster, namespace: str) -> None:
    node = cluster.nodes[0]
    cluster.apply(pod("host", namespace, node=node))
    cluster.wait_pod_ready("host", namespace)
    assert_clean(cluster)

    (sandbox,) = cluster.node_exec(
        node, "crictl", "pods", "--state=Ready", "--namespace", namespace, "-q"
    ).split()
    told = json.loads(cluster.node_exec(node, "crictl", "inspectp", sandbox))
    namespaces = told["info"]["runtimeSpec"]["linux"]["namespaces"]
    (netns,) = [entry["path"] for entry in namespaces if entry["type"] == "network"]
    inside = ("nsenter", f"--net={netns}", "ip", "link")
    cluster.node_exec(node, *inside, "add", "net1", "type", "veth", "peer", "name", "planted")
    cluster.node_exec(node, *inside, "set", "net1", "alias", "multinet:0123456789abcdef:net1")
    (found,) = findings(cluster)
    assert found.startswith("leaked-link: link net1 in /run/netns/")
    assert node in found

    cluster.node_exec(node, *inside, "delete", "net1")
    assert_clean(cluster)
