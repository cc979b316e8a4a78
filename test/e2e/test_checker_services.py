"""The checker holds slices of services, and the maps of nodes, against pods and their sets."""

from __future__ import annotations

import json

from e2elib.checks import assert_clean, findings
from e2elib.cluster import Cluster
from e2elib.networks import Networks
from e2elib.objects import service, vxlan
from e2elib.pods import pod
from e2elib.shop import LABEL_SERVICE, SERVE


def test_a_planted_slice_is_found_as_somebody_elses(
    deployed: Cluster, networks: Networks, namespace: str
) -> None:
    """A service with a ClusterIP, whose slices and maps are seen before."""
    cluster = deployed
    networks.add_ready(vxlan("stage", "10.66.0.0/24"))
    labels = {"app": "web"}
    cluster.apply(pod("web-0", namespace, networks="stage", labels=labels, script=SERVE))
    cluster.apply(service("web", namespace, "stage", clusterIP=None))
    cluster.wait_pod_ready("web-0", namespace)

    def served() -> bool:
        url = f"http://{cluster.json('service', 'web', namespace)['spec']['clusterIP']}/"
        out = cluster.pod_run(namespace, "web-0", "timeout", "5", "wget", "-qO-", url)
        return out.strip() == "web-0"

    cluster.wait(served, 30, "the ClusterIP to lead to its pod")
    assert_clean(cluster)
    planted = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "planted",
            "namespace": namespace,
            "labels": {LABEL_SERVICE: "web", "endpointslice.kubernetes.io/managed-by": "somebody"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.91.0.9"], "conditions": {"ready": True}}],
        "ports": [{"name": "http", "port": 8080}],
    }
    cluster.apply(json.dumps(planted))
    (found,) = findings(cluster)
    assert found.startswith("foreign-slice: ") and f"{namespace}/planted" in found, found
    cluster.delete("endpointslice", "planted", namespace)
    assert_clean(cluster)
