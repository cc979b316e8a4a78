"""The version before this one, this one, back again, off and on: pods that run keep their interfaces and
addresses and don't miss a packet, and each version reads what the other wrote. The order is that of
docs/install.md: to a newer version the cluster's part first, back from it the nodes first."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2elib import leftovers
from e2elib.admission import try_out
from e2elib.checks import assert_clean
from e2elib.cluster import REPOSITORY, Cluster, condition, run_try
from e2elib.objects import address, essence, interface, interface_sets, network, vxlan, wait_ready
from e2elib.ping import Pinger
from e2elib.pods import pod
from clusterlib import bringup, previous as history
from clusterlib.previous import Previous
from clusterlib.progress import Progress

SYSTEM = "multinet-system"
SERVERS = ("controller", "webhook")
NETWORKS = ("kept-vxlan", "kept-bridge")
ADMISSION = (
    ("validatingwebhookconfiguration", "multinet-validate"),
    ("mutatingwebhookconfiguration", "multinet-mutate"),
    ("validatingadmissionpolicybinding", "multinet-pod-request"),
)
LOST_BY_A_RESTART = 2
"""Pings, five a second, that a new agent's start may cost."""


@pytest.fixture(scope="session")
def previous() -> Previous:
    return history.build(Progress())


@pytest.fixture(scope="session")
def agent_program(previous: Previous, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A link, so that a node's agent is replaced as an installation does it: another file at the path."""
    link = tmp_path_factory.mktemp("agent") / "multinet-nodeagent"
    link.symlink_to(previous.bin / "multinet-nodeagent")
    return link


class Versions:
    """Takes parts of the cluster from one version to the other."""

    def __init__(self, cluster: Cluster, link: Path, previous: Previous, programs: Path) -> None:
        self._cluster = cluster
        self._link = link
        self._previous = previous
        self._programs = programs
        self._version = "previous"

    def load_images(self, directory: Path) -> None:
        """Those of this version are loaded already, as `dev`."""
        for server in SERVERS:
            archive = directory / f"{server}.tar"
            name = f"multinet.dev/{server}:previous"
            program = self._previous.bin / f"multinet-{server}"
            code, _, err = run_try(
                [
                    str(REPOSITORY / "tools" / "image"),
                    f"--name={name}",
                    f"--output={archive}",
                    str(program),
                ]
            )
            assert code == 0, err
            for node in self._cluster.record.nodes:
                bringup.load_images(self._cluster.record.layout.machine(node), [archive])

    def cluster_part(self, version: str, types: str = "") -> None:
        """`types`: one more that networks may have, by their kind's schema alone."""
        sources = self._previous.sources if version == "previous" else REPOSITORY
        for part in ("crds", "deploy"):
            manifests = self._cluster.kubectl("kustomize", str(sources / part))
            if types:
                manifests, count = re.subn(
                    r"(\n +- )IPVlan(?=\n)", rf"\g<0>\g<1>{types}", manifests
                )
                assert count > 0 or part != "crds", "the kinds have no type IPVlan"
            if version == "previous":
                for server in SERVERS:
                    manifests = manifests.replace(f"{server}:dev", f"{server}:previous")

            def applied(manifests: str = manifests) -> str:
                return self._cluster.kubectl("apply", "--server-side", "-f", "-", stdin=manifests)

            self._cluster.wait(applied, 30, f"{part} of {version}")
        for server in SERVERS:
            what = f"deployment/multinet-{server}"
            self._cluster.kubectl("rollout", "status", what, "-n", SYSTEM, "--timeout=55s")
        probe = network("probe", "10.0.0.0/30")
        self._cluster.wait(lambda: try_out(self._cluster, probe)[0] == 0, 30, "admission to answer")

    def agent(self, node: str, version: str) -> None:
        """Every node's next start is of that version; this one starts now."""
        directory = self._previous.bin if version == "previous" else self._programs
        fresh = self._link.with_name("fresh")
        fresh.symlink_to(directory / "multinet-nodeagent")
        os.replace(fresh, self._link)
        self._cluster.restart_agent(node)
        wanted = (directory / "multinet-nodeagent").resolve()

        def runs() -> bool:
            pid = self._cluster.component(node, "agent")["pid"]
            found = self._cluster.node_exec(node, "readlink", f"/proc/{pid}/exe").strip()
            return Path(found) == wanted

        self._cluster.wait(runs, 20, f"the agent {version} on {node}")
        self._cluster.wait(
            lambda: condition(self._cluster.json("node", node), "Ready") == "True", 40, node
        )


class Pods:
    """A pod on each node, on all networks, that pings the other one all the time."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.names = [f"kept-{index}" for index, _ in enumerate(cluster.nodes)]
        self._before: dict[str, object] = {}
        self._pinger = Pinger(cluster, "default", self.names[0])

    def start(self) -> None:
        for name, node in zip(self.names, self.cluster.nodes, strict=True):
            self.cluster.apply(pod(name, "default", node=node, networks=", ".join(NETWORKS)))
        for name in self.names:
            self.cluster.wait_pod_ready(name, "default", 60)
        self._before = self._state()
        self._pinger.wait(self._target(), 30)
        self._pinger.start(self._target())

    def assert_as_before(self) -> None:
        """Same containers, same interfaces in the pod and in the API, and the pings went on."""
        self.cluster.wait(
            lambda: self._state() == self._before, 30, "what the API tells to be as before"
        )
        count = self._pinger.stop()
        assert count.received > 0
        assert count.lost <= LOST_BY_A_RESTART, count
        self._pinger.start(self._target())

    def _target(self) -> str:
        return address(interface(self.cluster, "default", self.names[1], "net1"))

    def _state(self) -> dict[str, object]:
        found: dict[str, object] = {}
        for name in self.names:
            told = self.cluster.json("pod", name, "default")["status"]["containerStatuses"]
            containers = [(one["containerID"], one["restartCount"]) for one in told]
            shown = self.cluster.pod_exec("default", name, "ip", "addr")
            entry = interface_sets(self.cluster, "default").get(name, {"interfaces": []})
            told_by_api = [
                (one["name"], one["podNetworkName"], one.get("mac"), one["ips"])
                for one in map(essence, entry["interfaces"])
            ]
            found[name] = (containers, shown, told_by_api)
        return found


@pytest.fixture(scope="module")
def versions(
    cluster: Cluster,
    agent_program: Path,
    previous: Previous,
    programs: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Versions:
    made = Versions(cluster, agent_program, previous, programs)
    made.load_images(tmp_path_factory.mktemp("images"))
    made.cluster_part("previous")
    return made


@pytest.fixture(scope="module")
def pods(cluster: Cluster, versions: Versions) -> Iterator[Pods]:
    cluster.apply(vxlan(NETWORKS[0], "10.55.1.0/24"))
    cluster.apply(network(NETWORKS[1], "10.55.2.0/24"))
    wait_ready(cluster, *NETWORKS)
    made = Pods(cluster)
    made.start()
    yield made


def a_new_pod_works(cluster: Cluster, namespace: str, name: str, node: str) -> None:
    cluster.apply(pod(name, namespace, node=node, networks=NETWORKS[0]))
    cluster.wait_pod_ready(name, namespace, 60)
    taken = [
        one["ips"][0]["address"]
        for entry in cluster.items("podinterfacesets")
        for one in entry["interfaces"]
        if one["podNetworkName"] == NETWORKS[0]
    ]
    assert len(taken) == len(set(taken)), taken


def test_the_clusters_part_first(
    cluster: Cluster, versions: Versions, pods: Pods, namespace: str
) -> None:
    versions.cluster_part("this")
    pods.assert_as_before()
    a_new_pod_works(cluster, namespace, "old-agent", cluster.nodes[0])


def test_an_old_version_survives_what_it_does_not_know(
    cluster: Cluster, versions: Versions, pods: Pods, namespace: str
) -> None:
    """A type of network that came later, with nobody to refuse it: its pods wait, others notice nothing."""
    starts = [cluster.component(node, "agent")["starts"] for node in cluster.nodes]
    versions.cluster_part("this", types="Later")
    for kind, name in ADMISSION:
        cluster.delete(kind, name, "")
    cluster.wait(lambda: cluster.apply(unknown("later")), 30, "the API server to know the type")
    waits = pod("waits", namespace, node=cluster.nodes[0], networks="later")
    cluster.wait(lambda: cluster.apply(waits), 30, "the API server to forget who refuses")
    cluster.wait(lambda: cluster.pod_story("waits", namespace) != "no events", 30, "a word on why")
    a_new_pod_works(cluster, namespace, "beside", cluster.nodes[0])
    assert condition(cluster.json("pod", "waits", namespace), "Ready") != "True"
    assert [cluster.component(node, "agent")["starts"] for node in cluster.nodes] == starts
    assert restarts(cluster) == 0
    pods.assert_as_before()
    cluster.delete("pod", "waits", namespace, "--grace-period=1")
    cluster.delete("podnetwork", "later", "", "--timeout=30s")
    versions.cluster_part("this")


def unknown(name: str) -> str:
    made = json.loads(network(name, "10.55.3.0/24"))
    del made["spec"]["bridge"]
    made["spec"]["type"] = "Later"
    return json.dumps(made)


def restarts(cluster: Cluster) -> int:
    """Of the controller's and the webhook's containers."""
    statuses = [one["status"].get("containerStatuses", []) for one in cluster.items("pods", SYSTEM)]
    return sum(one["restartCount"] for of_pod in statuses for one in of_pod)


def test_then_the_nodes(cluster: Cluster, versions: Versions, pods: Pods, namespace: str) -> None:
    """A new agent reads the journal of the old one."""
    for node in cluster.nodes:
        versions.agent(node, "this")
        a_new_pod_works(cluster, namespace, f"on-{node}", node)
        pods.assert_as_before()
    assert_clean(cluster, 40)


def test_back_the_nodes_first(
    cluster: Cluster, versions: Versions, pods: Pods, namespace: str
) -> None:
    """An old agent reads the journal of the new one, with a pod that the new one attached."""
    for node in cluster.nodes:
        a_new_pod_works(cluster, namespace, f"new-{node}", node)
        before = interface(cluster, namespace, f"new-{node}", "net1")
        versions.agent(node, "previous")
        a_new_pod_works(cluster, namespace, f"back-{node}", node)
        pods.assert_as_before()
        after = interface(cluster, namespace, f"new-{node}", "net1")
        # It tells it in its own fields.
        assert {key: before.get(key) for key in essence(after)} == essence(after)
    versions.cluster_part("previous")
    a_new_pod_works(cluster, namespace, "all-old", cluster.nodes[0])
    pods.assert_as_before()


def test_forward_again_off_and_on(
    cluster: Cluster, versions: Versions, pods: Pods, programs: Path, namespace: str
) -> None:
    versions.cluster_part("this")
    for node in cluster.nodes:
        versions.agent(node, "this")
    pods.assert_as_before()
    for name in pods.names:
        cluster.delete("pod", name, "default", "--grace-period=1")
    verb = [str(programs / "kubectl-multinet"), "uninstall", f"--kubeconfig={cluster.kubeconfig}"]
    code, out, err = run_try(verb)
    assert code == 0, out + err
    assert leftovers.in_cluster(cluster) == []
    versions.cluster_part("this")
    for manifest in (vxlan(NETWORKS[0], "10.55.1.0/24"), network(NETWORKS[1], "10.55.2.0/24")):
        cluster.apply(manifest)
    wait_ready(cluster, *NETWORKS)
    for node in cluster.nodes:
        a_new_pod_works(cluster, namespace, f"again-{node}", node)
