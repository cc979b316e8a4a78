"""The API's store is put back from a backup under running pods: they keep what they have, nobody gets an
address twice, and all that is lost comes back within a minute."""

from __future__ import annotations

import ipaddress
import json
import shutil
from collections.abc import Callable, Iterator

import pytest
from e2elib.cluster import Cluster
from e2elib.networks import Networks
from e2elib.objects import address, essence, interface, interface_sets, vxlan
from e2elib.places import pod_place
from e2elib.pods import pod
from e2elib.traffic import identity

NAME = "restored"
_ETCD = "/var/lib/etcd"
_BACKUP = "/var/lib/etcd-backup"
_SEEN_AGAIN = 60
# No node leases a new block for two minutes after a restore; then a claim goes on.
_LEASED_AGAIN = 180


class Backup:
    """The store's files as they were at one time."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._live = cluster.node_file("cp", _ETCD)
        self._kept = cluster.node_file("cp", _BACKUP)

    def take(self) -> None:
        self._without_server(lambda: shutil.copytree(self._live, self._kept))

    def put_back(self) -> None:
        def replace() -> None:
            shutil.rmtree(self._live)
            shutil.copytree(self._kept, self._live)

        self._without_server(replace)

    def drop(self) -> None:
        shutil.rmtree(self._kept, ignore_errors=True)

    def _without_server(self, act: Callable[[], object]) -> None:
        for name in ("kube-apiserver", "etcd"):
            self._cluster.stop("cp", name)
        act()
        for name in ("etcd", "kube-apiserver"):
            self._cluster.start("cp", name)

        def answers() -> bool:
            return self._cluster.kubectl_try("get", "--raw", "/readyz")[0] == 0

        self._cluster.wait(answers, 60, "the API server to answer")


@pytest.fixture(scope="module", autouse=True)
def small_blocks(deployed: Cluster) -> Iterator[Networks]:
    """Four addresses a block: a few pods need several."""
    networks = Networks(deployed)
    ipam = {"subnets": [{"cidr": "10.47.0.0/24", "blockSize": 30}]}
    networks.add_served(vxlan(NAME, ipam=ipam))
    yield networks
    networks.remove()


@pytest.fixture
def backup(deployed: Cluster) -> Iterator[Backup]:
    made = Backup(deployed)
    yield made
    made.drop()


def addresses(cluster: Cluster, namespace: str, pods: dict[str, str]) -> dict[str, str]:
    """What each pod has in the kernel, whatever the API says."""
    found = {}
    for name, node in pods.items():
        place = pod_place(cluster, node, namespace, name)
        (told,) = json.loads(place.ip("-j", "-4", "address", "show", "net1"))
        (found[name],) = [one["local"] for one in told["addr_info"]]
    return found


def test_a_store_put_back_costs_no_pod_its_address_and_gives_none_twice(
    deployed: Cluster, namespace: str, backup: Backup
) -> None:
    # These are bound when the backup is taken, and get their addresses, blocks and sets after it.
    pods = {f"p{i}": deployed.nodes[i % 2] for i in range(6)}
    for node in deployed.nodes:
        deployed.stop(node, "kubelet")
    for name, node in pods.items():
        spec: dict[str, object] = {"nodeName": node}
        deployed.apply(pod(name, namespace, networks=NAME, spec=spec))
    backup.take()
    for node in deployed.nodes:
        deployed.start(node, "kubelet")
    for name in pods:
        deployed.wait_pod_ready(name, namespace, 90)
    told = {name: interface(deployed, namespace, name, "net1") for name in pods}
    before = {name: identity(deployed, name, namespace) for name in pods}

    backup.put_back()
    # Kubernetes' own programs want to be started again after that; ours don't.
    for name in ("kube-scheduler", "kube-controller-manager"):
        deployed.restart("cp", name)
    for node in deployed.nodes:
        deployed.restart(node, "kubelet")
        deployed.restart(node, "kube-proxy")
    later = {f"q{i}": deployed.nodes[i % 2] for i in range(6)}
    for name, node in later.items():
        deployed.apply(pod(name, namespace, node=node, networks=NAME))

    def seen_again() -> bool:
        sets = interface_sets(deployed, namespace)
        assert set(pods) <= set(sets), f"sets of {sorted(sets)}"
        for name, one in told.items():
            assert [essence(now) for now in sets[name]["interfaces"]] == [essence(one)], name
            held = ipaddress.ip_address(address(one))
            leased = [block for block, node in blocks_of(deployed) if node == pods[name]]
            assert any(held in block for block in leased), f"no block of {name}'s {held}: {leased}"
        return True

    deployed.wait(seen_again, _SEEN_AGAIN, "sets and blocks that the backup didn't have")
    for node in deployed.nodes:
        assert_told(deployed, node)
    for name in later:
        deployed.wait_pod_ready(name, namespace, _LEASED_AGAIN)
    held = addresses(deployed, namespace, pods | later)
    assert len(set(held.values())) == len(held), f"an address twice: {held}"
    assert {name: held[name] for name in pods} == {name: address(told[name]) for name in pods}
    for name, was in before.items():
        assert identity(deployed, name, namespace) == was, f"pod {name} changed"


def blocks_of(cluster: Cluster) -> list[tuple[ipaddress.IPv4Network, str]]:
    """The leased blocks of the network, and by whom."""
    return [
        (ipaddress.IPv4Network(one["spec"]["cidr"]), one["spec"]["nodeName"])
        for one in cluster.items("ipblocks")
        if one["spec"]["podNetworkName"] == NAME
    ]


def assert_told(cluster: Cluster, node: str) -> None:
    def told() -> bool:
        events = cluster.items("events")
        return any(
            one["reason"] == "StoreRestored" and node in json.dumps(one["involvedObject"])
            for one in events
        )

    cluster.wait(told, 30, f"the Event StoreRestored of {node}")
