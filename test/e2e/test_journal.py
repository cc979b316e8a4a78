"""The agent's journal is lost, cut short or put back from yesterday under running pods: they keep what
they have, nobody gets an address twice, and nothing is told that isn't so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2elib.checks import findings
from e2elib.cluster import Cluster
from e2elib.networks import Networks
from e2elib.objects import address, essence, interface, interface_sets, network
from e2elib.ping import Pinger
from e2elib.places import pod_place, sandboxes
from e2elib.pods import pod
from e2elib.traffic import identity
from e2elib.waiting import hold, wait_until

STATE = "/var/lib/multinet"
NAME = "kept"
_ROOTS = ("/var/lib/containerd", "/run/containerd")
# Twice the time between two looks at the runtime's list, and a little.
_TWO_LOOKS = 24


class Life:
    """Pods of one node on a small network, whose journal is harmed."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.node = cluster.nodes[0]
        self.names: list[str] = []
        self._before: dict[str, tuple[object, dict]] = {}

    @property
    def files(self) -> list[Path]:
        state = self.cluster.node_file(self.node, STATE)
        return sorted(state.glob("journal.db*"))

    def add(self, name: str) -> str:
        """One more pod; its address."""
        self.cluster.apply(pod(name, self.namespace, node=self.node, networks=NAME))
        self.cluster.wait_pod_ready(name, self.namespace, 90)
        self.names.append(name)
        told = interface(self.cluster, self.namespace, name, "net1")
        self._before[name] = (identity(self.cluster, name, self.namespace), told)
        return address(told)

    def addresses(self) -> list[str]:
        """What the pods have in the kernel, whoever knows of it."""
        found = []
        for name in self.names:
            place = pod_place(self.cluster, self.node, self.namespace, name)
            (told,) = json.loads(place.ip("-j", "-4", "address", "show", "net1"))
            found += [one["local"] for one in told["addr_info"]]
        return found

    def start(self) -> None:
        mark = len(self.cluster.log(self.node, "agent"))
        self.cluster.start(self.node, "agent")
        wait_until(
            lambda: " serving " in self.cluster.log(self.node, "agent")[mark:], 20, "the agent"
        )

    def assert_kept(self) -> None:
        """No pod was touched, and each set says what it said."""
        sets = interface_sets(self.cluster, self.namespace)
        for name, (before, told) in self._before.items():
            assert identity(self.cluster, name, self.namespace) == before, f"pod {name} changed"
            now = [essence(one) for one in sets[name]["interfaces"]]
            assert now == [essence(told)], f"the set of {name} changed"


@pytest.fixture
def life(deployed: Cluster, namespace: str) -> Iterator[Life]:
    yield Life(deployed, namespace)


@pytest.fixture(scope="module", autouse=True)
def small_network(deployed: Cluster) -> Iterator[None]:
    networks = Networks(deployed)
    networks.add_served(network(NAME, "10.46.0.0/24"))
    yield
    networks.remove()


def lose(life: Life, saved: Path) -> None:
    for file in life.files:
        file.unlink()


def cut_short(life: Life, saved: Path) -> None:
    for file in life.files:
        if file.suffix == ".db":
            file.write_bytes(b"")
        else:
            file.unlink()


def put_back(life: Life, saved: Path) -> None:
    lose(life, saved)
    for file in saved.iterdir():
        shutil.copy(file, life.cluster.node_file(life.node, STATE) / file.name)


@pytest.mark.parametrize("harm", [lose, cut_short, put_back], ids=["lost", "cut", "older"])
def test_no_address_is_given_twice(life: Life, tmp_path: Path, harm: object) -> None:
    cluster = life.cluster
    taken = [life.add("first")]
    cluster.stop(life.node, "agent")
    for file in life.files:
        shutil.copy(file, tmp_path / file.name)
    life.start()
    taken.append(life.add("second"))
    cluster.stop(life.node, "agent")
    assert callable(harm)
    harm(life, tmp_path)
    life.start()
    new = life.add("third")
    assert new not in taken
    life.assert_kept()

    # A doubt outlives the next start, too: nothing is taken for known that isn't.
    cluster.restart_agent(life.node)
    taken.append(life.add("fourth"))
    assert len(set(life.addresses())) == len(life.names)
    life.assert_kept()
    asks = Pinger(cluster, life.namespace, "first")
    for target in life.addresses()[1:]:
        asks.wait(target, 10)
    assert [one for one in findings(cluster) if one.startswith("duplicate-")] == []
    # Their end gives back what they had.
    for name in life.names:
        cluster.delete("pod", name, life.namespace, "--grace-period=1", "--timeout=30s")
    cluster.wait(lambda: findings(cluster) == [], 40, "the checker to find nothing")


def test_a_runtime_that_forgot_everything_for_a_while_costs_no_link(life: Life) -> None:
    """containerd started with other directories and back again: its shims and pods live on."""
    cluster, node = life.cluster, life.node
    life.add("lives")
    before = pod_place(cluster, node, life.namespace, "lives")
    assert before.link("net1") is not None
    file = cluster.record.layout.machine(node).etc / "containerd.toml"
    text = file.read_text()
    elsewhere = text
    for place in _ROOTS:
        elsewhere = elsewhere.replace(f'= "{place}"', f'= "{place}-empty"')
    assert elsewhere != text
    cluster.stop(node, "kubelet")  # it would make every pod again
    try:
        file.write_text(elsewhere)
        cluster.restart(node, "containerd")
        cluster.wait(
            lambda: cluster.node_exec(node, "crictl", "version") != "", 20, "an empty containerd"
        )
        assert sandboxes(cluster, node, life.namespace, "lives") == []
        hold(lambda: before.link("net1"), _TWO_LOOKS, "net1 of a pod that lives", 1)
    finally:
        file.write_text(text)
        cluster.restart(node, "containerd")
        cluster.start(node, "kubelet")
    cluster.wait(lambda: life.addresses() != [], 30, "the runtime to know the pod again")
    cluster.wait_pod_ready("lives", life.namespace, 60)
    life.assert_kept()
    life.add("new")
    cluster.wait(lambda: findings(cluster) == [], 40, "the checker to find nothing")
