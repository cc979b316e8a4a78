"""A pod gets the network that it was admitted to, and no network promises what the wire or the cluster
can't give."""

from __future__ import annotations

import json
import pytest
from e2elib.admission import try_out
from e2elib.cluster import Cluster, condition
from e2elib.events import wait_event
from e2elib.networks import Networks
from e2elib.objects import (
    address,
    interface,
    interface_sets,
    macvlan,
    network,
    node_condition,
    ready_condition,
    vxlan,
)
from e2elib.ping import Pinger
from e2elib.pods import pod

RESOLVED = "multinet.dev/resolved"
OF_ITS_LIFE = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation")


def test_a_network_made_again_under_its_name_isnt_the_one_that_was_admitted(
    deployed: Cluster, networks: Networks, namespace: str
) -> None:
    node = deployed.nodes[0]
    networks.add_served(network("twin", "10.45.1.0/24"))
    later = {"nodeSelector": {"e2e": "later"}}
    deployed.apply(pod("admitted", namespace, networks="twin", spec=later))
    resolved = deployed.json("pod", "admitted", namespace)["metadata"]["annotations"][RESOLVED]
    assert networks.uid("twin") in resolved
    code, _, _ = deployed.kubectl_try("delete", "podnetwork", "twin", "--timeout=10s")
    if code != 0:
        assert "admitted" in json.dumps(networks.status("twin").get("blockers", []))
        deployed.delete("pod", "admitted", namespace)
        return  # the deletion waits for who was admitted: as good
    networks.add_served(macvlan("twin", "eth1", "192.168.45.0/24"))
    assert networks.uid("twin") not in resolved
    deployed.kubectl("label", "node", node, "e2e=later")
    try:
        told = wait_event(deployed, namespace, "admitted", "FailedCreatePodSandBox")
        assert "twin" in told, told
        reasons = [
            line for line in deployed.pod_events("admitted", namespace) if "Replaced" in line
        ]
        assert reasons, deployed.pod_events("admitted", namespace)
        assert condition(deployed.json("pod", "admitted", namespace), "Ready") != "True"
        assert interface_sets(deployed, namespace) == {}
    finally:
        deployed.kubectl("label", "node", node, "e2e-")


def test_a_pod_out_of_a_backup_is_admitted_anew(
    deployed: Cluster, networks: Networks, namespace: str
) -> None:
    """Its annotations tell of networks that were made again since."""
    networks.add_served(network("saved", "10.45.2.0/24"))
    deployed.apply(pod("restored", namespace, networks="saved"))
    deployed.wait_pod_ready("restored", namespace)
    kept = deployed.json("pod", "restored", namespace)
    del kept["status"], kept["spec"]["nodeName"]
    for field in OF_ITS_LIFE:
        kept["metadata"].pop(field, None)
    assert networks.uid("saved") in kept["metadata"]["annotations"][RESOLVED]
    deployed.delete("pod", "restored", namespace, "--grace-period=1")
    deployed.delete("podnetwork", "saved", "", "--timeout=40s")
    networks.add_served(network("saved", "10.45.2.0/24"))
    deployed.kubectl("create", "-f", "-", stdin=json.dumps(kept))
    now = deployed.wait_pod_ready("restored", namespace, 90)["metadata"]["annotations"][RESOLVED]
    assert networks.uid("saved") in now


def test_an_mtu_above_the_wires_is_told_and_not_handed_out(
    deployed: Cluster, networks: Networks, namespace: str
) -> None:
    networks.add(vxlan("jumbo", "10.45.3.0/24", mtu=9000))
    here, there = deployed.nodes

    def judged() -> bool:
        ready = node_condition(deployed, here, "jumbo")
        assert (ready["status"], ready["reason"]) == ("False", "PathMTUTooSmall"), ready
        return True

    deployed.wait(judged, 20, "the node to find the path too small")
    for name, node in (("asks", here), ("answers", there)):
        deployed.apply(pod(name, namespace, node=node, networks="jumbo"))
    told = wait_event(deployed, namespace, "asks", "PathMTUTooSmall")
    assert "9000" in told or "1450" in told, told
    for name in ("asks", "answers"):
        assert condition(deployed.json("pod", name, namespace), "Ready") != "True"
    deployed.kubectl("patch", "podnetwork", "jumbo", "--type=merge", "-p", '{"spec":{"mtu":1400}}')
    for name in ("asks", "answers"):
        deployed.wait_pod_ready(name, namespace, 90)
    target = address(interface(deployed, namespace, "answers", "net1"))
    asks = Pinger(deployed, namespace, "asks")
    asks.wait(target, 15)
    assert asks.reaches(target, 1400 - 28)


CLUSTERS_OWN = {
    "Services": "10.92.0.0/16",
    "pods": "10.91.0.0/16",
    "nodes": "10.90.0.0/24",
    "one Service": "10.92.0.8/29",
    "all of them": "10.88.0.0/13",
}


@pytest.mark.parametrize("whose", CLUSTERS_OWN)
def test_a_range_that_the_cluster_uses_isnt_taken_in_silence(
    deployed: Cluster, networks: Networks, whose: str
) -> None:
    cidr = CLUSTERS_OWN[whose]
    wanted = network("overlapping", cidr)
    code, said = try_out(deployed, wanted)
    if code != 0 or "Warning" in said:
        assert "spec.ipam.subnets[0]" in said, said
        assert cidr in said, said
        return
    networks.add(wanted)

    def refused() -> bool:
        ready = ready_condition(deployed, "overlapping")
        assert ready.get("status") == "False", ready
        assert cidr in ready["message"], ready
        return True

    deployed.wait(refused, 10, f"a word about {cidr}")
