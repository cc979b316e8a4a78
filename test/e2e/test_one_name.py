"""Two machines say that they are one node: who has the name keeps it, the other touches nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from e2elib.cluster import AGENT_SOCKET, Cluster, condition
from e2elib.events import wait_event
from e2elib.networks import Networks
from e2elib.objects import address, interface, vxlan
from e2elib.pods import pod

NAME, NAMESPACE = "twins", "one-name"


@pytest.fixture(scope="module", autouse=True)
def served(deployed: Cluster) -> Iterator[None]:
    networks = Networks(deployed)
    deployed.kubectl("create", "namespace", NAMESPACE)
    networks.add_served(vxlan(NAME, "10.46.0.0/24"))
    yield
    deployed.kubectl("delete", "namespace", NAMESPACE, "--timeout=55s")
    networks.remove()


@contextmanager
def clone_of(cluster: Cluster, node: str, machine: str) -> Iterator[None]:
    """On `machine` runs the agent of `node`, with its word and its rights, instead of its own."""
    record = cluster.record.layout.machine(node)
    spec = json.loads(record.spec_file.read_text())
    (argv,) = [one["argv"] for one in spec["components"] if one["name"] == "agent"]
    argv = [one.replace(AGENT_SOCKET, "/run/twin/cri.sock") for one in argv]
    argv = ["--state-dir=/var/lib/twin" if one.startswith("--state-dir=") else one for one in argv]
    cluster.stop(machine, "agent")
    cluster.node_exec(machine, "mkdir", "-p", "/run/twin")
    twin = cluster.node_begin(machine, argv, record.logs / "twin.log")
    try:
        yield
    finally:
        cluster.node_exec_try(machine, "pkill", "-f", "/run/twin/cri.sock")
        twin.wait(timeout=20)
        cluster.start(machine, "agent")


def blocks_of(cluster: Cluster, node: str) -> dict[str, str]:
    """The blocks that are leased by a node's name, with who that was first."""
    return {
        one["metadata"]["name"]: one["metadata"]["uid"]
        for one in cluster.items("ipblocks")
        if one["spec"]["nodeName"] == node
    }


def test_who_has_the_name_keeps_it(deployed: Cluster) -> None:
    node, machine = deployed.nodes
    deployed.apply(pod("before", NAMESPACE, node=node, networks=NAME))
    deployed.wait_pod_ready("before", NAMESPACE)
    had = interface(deployed, NAMESPACE, "before", "net1")
    blocks, works = (
        blocks_of(deployed, node),
        deployed.json("nodenetworkset", node)["status"]["agent"],
    )
    with clone_of(deployed, node, machine):
        said = wait_event(deployed, "default", node, "NodeNameTaken")
        assert works["bootID"] in said, said

        def contested() -> bool:
            told = deployed.json("nodenetworkset", node)
            return condition(told, "NodeNameContested") == "True"

        deployed.wait(contested, 40, f"{node} to say that its name is contested")
        assert deployed.json("nodenetworkset", node)["status"]["agent"] == works
        # The node works on: the twin is the one that does nothing.
        deployed.apply(pod("meanwhile", NAMESPACE, node=node, networks=NAME))
        deployed.wait_pod_ready("meanwhile", NAMESPACE)
        to = address(interface(deployed, NAMESPACE, "meanwhile", "net1"))
        deployed.pod_exec(NAMESPACE, "before", "ping", "-c1", "-w5", to)
        assert blocks_of(deployed, node) == blocks
        assert interface(deployed, NAMESPACE, "before", "net1") == had
    # Its machine is itself again.
    deployed.apply(pod("after", NAMESPACE, node=machine, networks=NAME))
    deployed.wait_pod_ready("after", NAMESPACE)
    to = address(interface(deployed, NAMESPACE, "after", "net1"))
    deployed.pod_exec(NAMESPACE, "before", "ping", "-c1", "-w5", to)
