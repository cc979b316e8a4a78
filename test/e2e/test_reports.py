"""What the agent writes into the API is there for as long as it is true, whoever deletes it, and it
can be written however much there is to tell."""

from __future__ import annotations

from e2elib.checks import COUNTED_WITHIN, assert_clean
from e2elib.cluster import Cluster, condition
from e2elib.networks import Networks
from e2elib.objects import (
    address,
    attachment,
    essence,
    interface,
    interface_sets,
    macvlan,
    network,
    vxlan,
)
from e2elib.ping import Pinger
from e2elib.pods import pod

_SECONDS = 40  # 30 and what a busy machine adds


def counts_of(cluster: Cluster, name: str) -> dict[str, int]:
    return dict(cluster.json("podnetwork", name)["status"]["nodes"])


def test_what_is_deleted_comes_back(deployed: Cluster, networks: Networks, namespace: str) -> None:
    node = deployed.nodes[0]
    networks.add_served(network("told", "10.43.1.0/24", join="Always"))
    deployed.apply(pod("known", namespace, node=node, networks="told"))
    deployed.wait_pod_ready("known", namespace)
    before = interface(deployed, namespace, "known", "net1")
    deployed.kubectl("delete", "podinterfacesets", "--all", "-n", namespace)
    deployed.delete("nodenetworkset", node)

    def back() -> bool:
        told = interface_sets(deployed, namespace).get("known")
        assert told is not None, "no PodInterfaceSet"
        assert [essence(one) for one in told["interfaces"]] == [essence(before)]
        assert networks.status("told")["attachedPods"] == 1
        return True

    deployed.wait(back, COUNTED_WITHIN, "the set of a live pod to be back")
    deployed.wait(lambda: deployed.exists("nodenetworkset", node), _SECONDS, "the node's set")
    both = {"desired": 2, "ready": 2}
    deployed.wait(
        lambda: counts_of(deployed, "told") == both, COUNTED_WITHIN, "both nodes to be counted"
    )
    assert condition(deployed.json("pod", "known", namespace), "Ready") == "True"


def test_a_condition_that_was_taken_from_a_pod_comes_back(
    deployed: Cluster, networks: Networks, namespace: str
) -> None:
    gate = "multinet.dev/networks-ready"
    networks.add_served(network("gated", "10.43.2.0/24"))
    deployed.apply(pod("gated", namespace, networks="gated"))
    conditions = deployed.wait_pod_ready("gated", namespace)["status"]["conditions"]
    index = [one["type"] for one in conditions].index(gate)
    deployed.kubectl(
        "patch", "pod", "gated", "-n", namespace, "--subresource=status", "--type=json",
        "-p", f'[{{"op": "remove", "path": "/status/conditions/{index}"}}]',
    )  # fmt: skip
    deployed.wait(
        lambda: condition(deployed.json("pod", "gated", namespace), gate) == "True",
        _SECONDS,
        f"condition {gate}",
    )
    deployed.wait_pod_ready("gated", namespace)


def test_as_many_routes_as_can_be_asked_for_can_be_told(
    deployed: Cluster, networks: Networks, namespace: str
) -> None:
    """Those of the network, those of the attachment, and one to the network's other subnet."""

    def routes(second: int) -> list[dict[str, str]]:
        return [{"to": f"172.{second}.{third}.0/24", "via": "10.43.3.1"} for third in range(32)]

    subnets = ("10.43.3.0/25", "10.43.3.128/25")
    networks.add_served(network("many", *subnets, routes=routes(16), allow={"routes": True}))
    more = attachment("more", namespace, "many", routes=routes(17))
    code, _, err = deployed.apply_try(more)
    if code != 0:
        assert "routes" in err, err  # refused, with the sum: as good
        return
    deployed.apply(pod("much", namespace, networks="attachment/more"))
    deployed.wait_pod_ready("much", namespace)
    told = interface(deployed, namespace, "much", "net1")["routes"]
    lines = deployed.pod_exec(namespace, "much", "ip", "-4", "route", "show", "dev", "net1")
    known = {line.split()[0] for line in lines.splitlines()}
    assert len(told) >= 65
    assert {route["to"] for route in told} <= known


def test_a_node_that_was_deleted_and_comes_back_reports_again(
    deployed: Cluster, networks: Networks, namespace: str
) -> None:
    """Its objects go with it: by hand here, by the controller when the Node is away for longer."""
    here, there = deployed.nodes
    networks.add_served(
        network("back-bridge", "10.43.4.0/24", join="Always"),
        macvlan("back-macvlan", "eth2", "192.168.44.0/24", join="Always"),
        vxlan("back-vxlan", "10.43.5.0/24", join="Always"),
    )
    deployed.apply(pod("stays", namespace, node=here, networks="back-vxlan"))
    deployed.wait_pod_ready("stays", namespace)
    deployed.kubectl("delete", "node", there)
    deployed.delete("nodenetworkset", there)
    for peer in deployed.items("networkpeers"):
        if peer["nodeName"] == there:
            deployed.delete("networkpeer", peer["metadata"]["name"])
    deployed.restart(there, "kubelet")  # as a person does: it registers its Node only at a start

    def ready() -> bool:
        return condition(deployed.json("node", there), "Ready") == "True"

    deployed.wait(ready, 60, f"node {there} to be Ready")
    deployed.wait(lambda: deployed.exists("nodenetworkset", there), _SECONDS, "its report")
    for name in networks.names:
        deployed.wait(
            lambda name=name: counts_of(deployed, name) == {"desired": 2, "ready": 2},
            COUNTED_WITHIN,
            f"both nodes to serve {name}",
        )
    deployed.apply(pod("new", namespace, node=there, networks=", ".join(networks.names)))
    deployed.wait_pod_ready("new", namespace, 60)
    Pinger(deployed, namespace, "stays").wait(
        address(interface(deployed, namespace, "new", "net3")), 20
    )
    assert_clean(deployed, 60)
