"""kill -9 of the agent at every step of attach and detach, on the real kernel and the real runtime.

The agent of each node dies at the N-th place that it passes in a pod's life, N = 1, 2, ... until a
whole life passes none. After the kubelet's retry each pod has exactly one set of interfaces and
addresses, pods beside it never lose a packet, and nothing is left of those that ended.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from e2elib.checks import assert_clean
from e2elib.cluster import Cluster, condition
from e2elib.objects import macvlan, network, policy, vxlan, wait_served
from e2elib.pods import pod
from e2elib.traffic import Bystanders, identity

KILLED = re.compile(r"^failpoint (\S+): kill$", re.MULTILINE)
# The kubelet tries again after 10 to 15 s, or at once when the pod changes: so the test changes it.
_NUDGE_SECONDS = 1.5
LAN = "kill-lan"
VICTIM = "victim"
_LIFE_SECONDS = 60
_LAST_WORD_SECONDS = 0.5


def both(*names: str) -> set[str]:
    return {f"{name}.{side}" for name in names for side in ("before", "after")}


@dataclass
class Family:
    """Places that belong together: `prefix` is what is armed, `also` makes them come about."""

    prefix: str
    expected: set[str]
    also: str = ""
    fresh_network: bool = False
    on_lan: bool = False  # on a Macvlan alone, whose rules are in the pod
    seen: set[str] = field(default_factory=set)


FAMILIES = [
    Family(
        "sandbox.*",
        both(
            *(f"sandbox.{step}" for step in ("resolve", "claim", "intent", "forward", "bound")),
            *(f"sandbox.{step}" for step in ("netns", "commit", "attach", "answer")),
            *(f"sandbox.{step}" for step in ("stop", "detach", "detached")),
        )
        | {"sandbox.release.before"},
    ),
    Family(
        "attach.*",
        {"attach.observe.before"} | both("attach.create", "attach.sysctl", "attach.configure"),
    ),
    Family("detach.*", {"detach.before"}),
    Family("isolation.*", both("isolation.commit")),
    Family("policy.*", both("policy.commit")),
    Family("policy.*", both("policy.commit") | {"policy.raw.before"}, on_lan=True),
    Family("attach.*", {"attach.observe.before"} | both("attach.create"), on_lan=True),
    Family("journal.*", both("journal.commit")),
    Family("addresses.*", both("addresses.lease"), fresh_network=True),
    Family(
        "sandbox.rollback*",
        both("sandbox.rollback-detach", "sandbox.rollback-stop")
        | {"sandbox.rollback.before", "sandbox.rollback-remove.after"},
        also="attach.configure.before@1=error;",
    ),
]


class Node:
    """One node's agent, armed for one pod's life."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name
        self._mark = 0

    def arm(self, failpoints: str) -> None:
        self._mark = self.cluster.arm_agent(self.name, failpoints)

    def killed_at(self) -> str:
        """The place where the armed agent died; empty while it lives."""
        found = KILLED.search(self._log())
        return found[1] if found else ""

    def _log(self) -> str:
        return self.cluster.log(self.name, "agent")[self._mark :]


class Lives:
    """Rounds of pod lives, one pod a node at a time."""

    def __init__(self, cluster: Cluster, namespace: str, networks: list[str]) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.networks = networks
        self.nodes = [Node(cluster, name) for name in cluster.nodes]
        self.rounds = 0

    def run(self, family: Family, arms: list[str]) -> list[str]:
        """A pod's life on each node, armed with one of `arms`; the places where the agents died,
        empty where they lived. Policies isolate it."""
        self.rounds += 1
        wanted = [LAN] if family.on_lan else [*self.networks, *self._fresh(family)]
        request = ", ".join(wanted)
        arms = [f"{family.also}{arm}=kill" for arm in arms]
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(Node.arm, self.nodes, arms))
        names = [f"victim-{self.rounds}-{node.name}" for node in self.nodes]
        self.cluster.apply(
            "\n---\n".join(
                pod(name, self.namespace, networks=request, node=node.name, labels={"app": VICTIM})
                for name, node in zip(names, self.nodes, strict=True)
            )
        )
        self._nudge_until(lambda: self._ready(names), names, f"pods {names} to be Ready")
        assert_clean(self.cluster, history=False)
        where = ("-n", self.namespace, "--grace-period=1", "--wait=false")
        self.cluster.kubectl("delete", "pod", *names, *where)
        self._nudge_until(lambda: self._gone(names), names, f"pods {names} to be gone")
        return [self._place(node) for node in self.nodes]

    def _fresh(self, family: Family) -> list[str]:
        """A network of which no node has a block yet."""
        if not family.fresh_network:
            return []
        name = f"kill-fresh-{self.rounds}"
        self.cluster.apply(network(name, f"10.79.{self.rounds}.0/24"))
        wait_served(self.cluster, name)
        return [name]

    def _place(self, node: Node) -> str:
        """The last places come after the runtime's and the kubelet's last word."""
        deadline = time.monotonic() + _LAST_WORD_SECONDS
        while not node.killed_at() and time.monotonic() < deadline:
            time.sleep(0.05)
        return node.killed_at()

    def _victims(self, names: list[str]) -> list[dict]:
        pods = self.cluster.items("pods", self.namespace)
        return [one for one in pods if one["metadata"]["name"] in names]

    def _ready(self, names: list[str]) -> bool:
        victims = self._victims(names)
        late = [one["metadata"]["name"] for one in victims if condition(one, "Ready") != "True"]
        assert not late, "; ".join(self.cluster.pod_story(name, self.namespace) for name in late)
        return len(victims) == len(names)

    def _gone(self, names: list[str]) -> bool:
        there = [one["metadata"]["name"] for one in self._victims(names)]
        assert not there, "; ".join(self.cluster.pod_story(name, self.namespace) for name in there)
        return True

    def _nudge_until(self, done: Callable[[], bool], names: list[str], what: str) -> None:
        next_nudge = time.monotonic() + _NUDGE_SECONDS

        def nudged() -> bool:
            nonlocal next_nudge
            if time.monotonic() >= next_nudge and any(node.killed_at() for node in self.nodes):
                value = f"nudge={time.monotonic_ns()}"
                where = ("-n", self.namespace, "--overwrite")
                self.cluster.kubectl_try("label", "pod", *names, *where, value)
                next_nudge = time.monotonic() + _NUDGE_SECONDS
            return done()

        self.cluster.wait(nudged, _LIFE_SECONDS, what)


@pytest.fixture
def networks(deployed: Cluster) -> Iterator[list[str]]:
    """A tunnel and a bridge, with both families; and a LAN."""
    tunnel, bridge = "kill-vxlan", "kill-bridge"
    deployed.apply(vxlan(tunnel, "10.77.0.0/16", "fd00:77::/64"))
    deployed.apply(network(bridge, "10.78.0.0/24"))
    deployed.apply(macvlan(LAN, "eth1", "10.76.0.0/24", "fd00:76::/64"))
    wait_served(deployed, tunnel, bridge, LAN)
    yield [tunnel, bridge]
    deployed.kubectl("delete", "podnetworks", "--all", "--wait=false")  # pods still use them


def kill_at_each_step(lives: Lives, family: Family) -> int:
    """How many steps of the family there are, all of them survived."""
    step = 1
    while True:
        places = lives.run(family, [f"{family.prefix}@{step + n}" for n in range(len(lives.nodes))])
        for place in places:
            if not place:
                return step - 1
            print(f"killed at step {step} of {family.prefix}: {place}")
            family.seen.add(place)
            step += 1


def kill_at_what_was_missed(lives: Lives, family: Family) -> None:
    """A late call for an earlier pod can pass a place and shift the count; a name can't be missed."""
    missed = sorted(family.expected - family.seen)
    for begin in range(0, len(missed), len(lives.nodes)):
        names = missed[begin : begin + len(lives.nodes)]
        names += names[:1] * (len(lives.nodes) - len(names))
        places = lives.run(family, [f"{name}@1" for name in names])
        print(f"killed by name: {places}")
        family.seen.update(places)


def test_kill_at_every_step(deployed: Cluster, namespace: str, networks: list[str]) -> None:
    bystanders = Bystanders(deployed, namespace, networks[0])
    bystanders.start()
    deployed.apply(pod("plain", namespace, node=deployed.nodes[0]))
    deployed.wait_pod_ready("plain", namespace)
    plain = identity(deployed, "plain", namespace)

    deployed.apply(policy(VICTIM, namespace, *networks, LAN, policyTypes=["Ingress", "Egress"]))
    lives = Lives(deployed, namespace, networks)
    for family in FAMILIES:
        steps = kill_at_each_step(lives, family)
        kill_at_what_was_missed(lives, family)
        missed = family.expected - family.seen
        assert not missed, f"{family.prefix} ended after {steps} steps without {sorted(missed)}"

    assert_clean(deployed)
    bystanders.assert_undisturbed()
    assert identity(deployed, "plain", namespace) == plain
    kubelets = [deployed.component(node, "kubelet")["starts"] for node in deployed.nodes]
    assert set(kubelets) == {1}, "the kubelets lived through it as well"
