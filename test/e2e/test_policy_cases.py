"""The cases of Kubernetes' own suite for NetworkPolicies, on named networks of three types at once: what each
says is what all pairs of nine pods find, and what `kubectl multinet policy table` says."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from e2elib.admission import try_out
from e2elib.cluster import Cluster, CommandFailed
from e2elib.networks import Networks
from e2elib.objects import macvlan, network, policy, together, vxlan
from e2elib.pods import pod
from e2elib.policy_cases import (
    CASES,
    NAMESPACES,
    PODS,
    X,
    Case,
    Gone,
    Label,
    Policy,
    Step,
    comes_in,
    nothing,
    port,
)
from e2elib.oracle import table
from e2elib.probing import PORTS, PROTOCOLS, Packet, Prober, Says, Who, addresses_of, packets
from e2elib.waiting import wait_until
from e2elib.writing import Writer

TUNNEL, BRIDGE, LAN = "cases-vxlan", "cases-bridge", "cases-macvlan"
NETWORKS = (TUNNEL, BRIDGE, LAN)
FOLLOWED_WITHIN = 30.0  # mostly a second
FIRST_PATIENCE, LAST_PATIENCE = 0.5, 4.0
POLICIES = "podnetworkpolicies"


def serving(who: Who, node: str) -> str:
    """A pod that names its ports; who serves there is the prober."""
    labels = {"pod": who[1]}
    made: dict[str, Any] = json.loads(
        pod(who[1], who[0], node=node, networks=", ".join(NETWORKS), labels=labels)
    )
    made["spec"]["containers"][0]["ports"] = [
        {
            "name": f"serve-{number}-{protocol.lower()}",
            "containerPort": number,
            "protocol": protocol,
        }
        for number in PORTS
        for protocol in PROTOCOLS
    ]
    return json.dumps(made)


@dataclass
class World:
    cluster: Cluster
    writer: Writer
    prober: Prober
    nodes: dict[Who, str]
    asked: list[Packet]
    took: list[str] = field(default_factory=list)  # what each step took

    def addresses_of(self, who: Who) -> list[str]:
        return [at for (_, one, _), at in self.prober.addresses.items() if one == who]

    def expected(self, says: Says) -> Says:
        """A pod reaches itself, whatever policies say, and by a Bridge those of its node alone."""

        def may(packet: Packet) -> bool:
            if packet.source == packet.target:
                return True
            if packet.network == BRIDGE and self.nodes[packet.source] != self.nodes[packet.target]:
                return False
            return says(packet)

        return may

    def enforced(self) -> bool:
        """Whether each policy says so of itself as it is now."""
        return all(_enforced(one) for one in self.cluster.items(POLICIES))

    def expect(self, says: Says, told: bool) -> tuple[float, float]:
        """Seconds until all packets went as they should, and until policies say so: from then on nobody
        who is denied may get through. Without `told`, what they said before counts for nothing."""
        may = self.expected(says)
        begin = time.monotonic()
        right = enforced = 0.0
        patience = FIRST_PATIENCE
        wrong = ["nobody asked"]
        while time.monotonic() < begin + FOLLOWED_WITHIN:
            said = self.enforced()
            enforced = enforced or (time.monotonic() - begin if said else 0.0)
            reached = self.prober.ask(self.asked, may, LAST_PATIENCE if said else patience)
            patience = min(2 * patience, LAST_PATIENCE)
            passes = [f"{one}: passes" for one in self.asked if one in reached and not may(one)]
            lost = [f"{one}: is lost" for one in self.asked if may(one) and one not in reached]
            wrong = passes + lost
            if not wrong:
                right = right or time.monotonic() - begin
                if said:
                    return right, enforced
            elif passes and said and told:
                break
        how = "though all policies say Enforced" if enforced else "and not all say Enforced"
        raise AssertionError("\n".join([f"{len(wrong)} wrong, {how}:", *wrong[:30]]))


def _enforced(one: dict[str, Any]) -> bool:
    held = [
        entry["status"] == "True"
        and entry.get("observedGeneration") == one["metadata"]["generation"]
        for entry in one.get("status", {}).get("conditions", [])
        if entry["type"] in ("PeersResolved", "Enforced")
    ]
    return len(held) == 2 and all(held)


def _tell(request: pytest.FixtureRequest, *lines: str) -> None:
    """Figures, past what pytest keeps for failures."""
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print("", *lines, sep="\n", flush=True)


@pytest.fixture(scope="module")
def world(deployed: Cluster, request: pytest.FixtureRequest) -> Iterator[World]:
    networks = Networks(deployed)
    nodes = {who: deployed.nodes[i % len(deployed.nodes)] for i, who in enumerate(PODS)}
    for namespace in NAMESPACES:
        deployed.kubectl("create", "namespace", namespace)
        deployed.kubectl("label", "namespace", namespace, f"team={namespace[-1]}")
    try:
        networks.add_served(
            vxlan(TUNNEL, "10.131.0.0/24", "fd00:131::/64"),
            network(BRIDGE, "10.132.0.0/24", "fd00:132::/64"),
            macvlan(LAN, "eth1", "10.133.0.0/24", "fd00:133::/64"),
        )
        deployed.apply(together(*(serving(who, node) for who, node in nodes.items())))
        for namespace, name in PODS:
            deployed.wait_pod_ready(name, namespace)
        prober = Prober(deployed, nodes, addresses_of(deployed, NAMESPACES))
        made = World(deployed, Writer(deployed), prober, nodes, packets(prober.addresses))
        yield made
        prober.close()
        title = "seconds until a round of packets went right, until policies said so"
        _tell(request, title, *made.took)
    finally:
        deployed.kubectl("delete", "namespace", *NAMESPACES, "--timeout=55s")
        networks.remove()


@pytest.fixture
def clean(world: World) -> Iterator[World]:
    """Everybody reaches everybody."""
    world.expect(lambda _: True, told=False)
    yield world
    for namespace in NAMESPACES:
        world.writer.clear(POLICIES, namespace)
        world.writer.label("namespace", namespace, "", late=None)
    for namespace, name in PODS:
        if world.cluster.json("pod", name, namespace)["metadata"]["labels"].get("late"):
            world.writer.label("pod", name, namespace, late=None)


def carry_out(world: World, step: Step) -> None:
    for act in step.acts:
        match act:
            case Policy(name, spec, namespace):
                said = spec if isinstance(spec, dict) else spec(world.addresses_of)
                manifest = policy(name, namespace, *NETWORKS, **({"ingress": None} | said))
                world.writer.apply(manifest)
            case Gone():
                for namespace in NAMESPACES:
                    world.writer.clear(POLICIES, namespace)
            case Label((namespace, ""), key, value):
                world.writer.label("namespace", namespace, "", **{key: value})
            case Label((namespace, name), key, value):
                world.writer.label("pod", name, namespace, **{key: value})


def agrees(world: World, programs: Path, says: Says, of: str, protocol: str, port: int) -> str:
    """What the evaluator says of two families is the worse."""
    told = table(world.cluster, programs, of, world.nodes, protocol, port)
    for (source, target), yes in told.items():
        may = source == target or all(
            says(Packet(of, source, target, family, protocol, port)) for family in ("IPv4", "IPv6")
        )
        if yes != may:
            return f"policy table of {of}, {protocol} {port}, {source} to {target}: {yes}"
    return ""


@pytest.mark.parametrize("name", CASES)
def test_the_case_holds(clean: World, programs: Path, name: str) -> None:
    case: Case = CASES[name]
    for number, step in enumerate(case.steps):
        carry_out(clean, step)
        told = all(isinstance(act, Policy) for act in step.acts)
        right, enforced = clean.expect(step.says, told)
        clean.took.append(f"{right:5.2f} {enforced:5.2f}  {name}, step {number + 1}")
        with ThreadPoolExecutor(2) as pool:
            asked = [
                pool.submit(agrees, clean, programs, step.says, TUNNEL, protocol, port)
                for protocol in PROTOCOLS
                for port in PORTS
            ]
            assert not [wrong.result() for wrong in asked if wrong.result()]


def test_eth0_is_as_it_was_under_a_policy_that_denies_all(clean: World) -> None:
    own = {
        ("eth0", who, "IPv6" if ":" in one["ip"] else "IPv4"): one["ip"]
        for who in PODS
        for one in clean.cluster.json("pod", who[1], who[0])["status"]["podIPs"]
    }
    denied = nothing("Ingress", "Egress")
    for namespace in NAMESPACES:
        clean.writer.apply(policy("deny", namespace, *NETWORKS, **({"ingress": None} | denied)))
    clean.expect(lambda _: False, told=True)
    clean.prober.addresses = clean.prober.addresses | own
    asked = packets(own)
    wait_until(
        lambda: clean.prober.ask(asked, lambda _: True, FIRST_PATIENCE) == set(asked), 10, "eth0"
    )


def test_the_kind_is_served_whole(clean: World) -> None:
    """Made by a name of the server's, read, listed, watched, changed in part and whole, taken away."""
    writer, cluster = clean.writer, clean.cluster
    manifest = json.loads(policy("p", X, TUNNEL, **comes_in(to="nobody")))
    manifest["metadata"] = {"generateName": "p-", "namespace": X, "labels": {"of": "this-test"}}
    made = [writer.make(json.dumps(manifest)) for _ in range(3)]
    name = made[0]["metadata"]["name"]
    assert cluster.json(POLICIES, name, X)["metadata"]["uid"] == made[0]["metadata"]["uid"]
    assert len(cluster.items(POLICIES, X)) == len(made)
    watched = ("get", POLICIES, name, "-n", X, "--watch-only", "-o", "name", "--request-timeout=3s")
    with ThreadPoolExecutor(1) as pool:
        heard = pool.submit(cluster.kubectl_try, *watched)

        def changed() -> bool:
            writer.label("podnetworkpolicy", name, X, part=str(time.monotonic()))
            return heard.done()

        wait_until(changed, 10, "the end of a watch", 0.5)
        assert name in heard.result()[1]
    wait_until(lambda: _replaced(writer, cluster, name), 10, "no other's write in between")
    assert cluster.json(POLICIES, name, X)["metadata"]["annotations"]["whole"] == "yes"
    cluster.delete("podnetworkpolicy", name, X)
    assert len(cluster.items(POLICIES, X)) == len(made) - 1
    writer.clear(POLICIES, X, "of=this-test")
    assert not cluster.items(POLICIES, X)


def _replaced(writer: Writer, cluster: Cluster, name: str) -> bool:
    """Between reading and writing the status may change."""
    whole = cluster.json(POLICIES, name, X)
    whole["metadata"]["annotations"] = {"whole": "yes"}
    try:
        writer.replace(whole)
    except CommandFailed:
        return False
    return True


@pytest.mark.parametrize(
    ("first", "good"),
    [(20000, True), (10000, True), (30000, False), ("name", False), (None, False)],
)
def test_a_range_of_ports_has_a_beginning_that_isnt_after_its_end(
    world: World, first: int | str | None, good: bool
) -> None:
    spec = comes_in(ports=(port(first) | {"endPort": 20000},))
    code, err = try_out(world.cluster, policy("p", X, TUNNEL, **spec))
    assert (code == 0) == good, err
