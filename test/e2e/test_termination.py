"""Pods that are deleted leave their services before their processes hear of it: no connection is lost
by a rolling update, by scaling down, or by the drain of a node, without preStop hooks. kube-proxy on
eth0 serves the same in the same run, for comparison.

MULTINET_ROLLOUTS=N makes the run as long as it takes to see N rolling updates [1]; MULTINET_RATE is the
rate of connections to each service [75 a second]."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from e2elib.cluster import Cluster
from e2elib.freezing import frozen, frozen_pod
from e2elib.load import PORT, Load, server_pod, servers
from e2elib.networks import Networks
from e2elib.objects import macvlan, network, service, vxlan
from e2elib.places import sandboxes
from e2elib.pods import pod
from e2elib.waiting import hold

ROLLOUTS = int(os.environ.get("MULTINET_ROLLOUTS", "1"))
RATE = float(os.environ.get("MULTINET_RATE", "75"))
GRACE = 20
LABEL_HOLD = "multinet.dev/hold"
SYSTEM = "multinet-system"
THING = "example.com/thing"


@pytest.fixture
def stage(deployed: Cluster, networks: Networks) -> Iterator[str]:
    networks.add_ready(vxlan("stage", "10.66.0.0/24"))
    yield "stage"


def ended_after(cluster: Cluster, namespace: str, name: str) -> float:
    """Deletes a pod; seconds until it is gone."""
    begin = time.monotonic()
    cluster.delete("pod", name, namespace, "--wait=false")
    cluster.wait(lambda: not cluster.exists("pod", name, namespace), 60, f"the end of {name}")
    return time.monotonic() - begin


def wait_both(cluster: Cluster, namespace: str) -> None:
    """Until `stays` and `goes` are ready, and endpoints of their service."""
    for name in ("stays", "goes"):
        cluster.wait_pod_ready(name, namespace)

    def listed() -> bool:
        status = cluster.json("podnetworkservice", "web", namespace)["status"]
        return bool(status["endpoints"]["ready"] == 2)

    cluster.wait(listed, 20, "both endpoints")


def run_two(cluster: Cluster, stage: str, namespace: str, hold_seconds: int) -> str:
    """Pods `stays` and `goes` behind one service, both ready. Their node."""
    node = cluster.nodes[0]
    cluster.apply(service("web", namespace, stage, termination={"seconds": hold_seconds}))
    spec = {"terminationGracePeriodSeconds": 40}
    labels = {"app": "web"}
    for name in ("stays", "goes"):
        cluster.apply(pod(name, namespace, node=node, networks=stage, labels=labels, spec=spec))
    wait_both(cluster, namespace)
    return node


def stops(cluster: Cluster, node: str) -> dict[str, int]:
    """How many stops of containers the agent let go on, by why."""
    text = cluster.node_exec(
        node,
        "python3",
        "-c",
        "import urllib.request as u; print(u.urlopen('"
        "http://127.0.0.1:9091/metrics').read().decode())",
    )
    found = re.findall(r'multinet_agent_stops_total\{why="([a-z-]+)"\} (\d+)', text)
    return {why: int(count) for why, count in found}


def core_service(name: str, namespace: str) -> str:
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": PORT}]}
    metadata = {"name": name, "namespace": namespace}
    return json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})


def test_no_connection_is_lost_by_an_end(deployed: Cluster, stage: str, namespace: str) -> None:
    cluster = deployed
    here, other = cluster.nodes[:2]
    cluster.apply(servers("web", namespace, stage, 4, GRACE))
    cluster.apply(servers("plain", namespace, None, 4, GRACE))
    selector = {"app": "web"}
    ports = [{"name": "http", "port": 80, "targetPort": PORT}]
    cluster.apply(service("vip", namespace, stage, clusterIP=None, selector=selector, ports=ports))
    cluster.apply(service("name", namespace, stage, selector=selector, ports=ports))
    cluster.apply(core_service("plain", namespace))
    load = Load(cluster, namespace, stage, here)
    for what in ("deployment/web", "deployment/plain"):
        cluster.kubectl("rollout", "status", what, "-n", namespace, "--timeout=90s")

    def available(name: str) -> bool:
        status = cluster.json("podnetworkservice", name, namespace)["status"]
        return bool(status["endpoints"]["ready"] == 4)

    for name in ("vip", "name"):
        cluster.wait(lambda name=name: available(name), 20, f"four endpoints of {name}")
    time.sleep(5)  # names that were asked for before are kept for so long
    vip = cluster.json("service", "vip", namespace)["spec"]["clusterIP"]
    plain = cluster.json("service", "plain", namespace)["spec"]["clusterIP"]
    targets = {
        "ClusterIP": (vip, 80),
        "headless": (f"name.{namespace}.svc.cluster.local.", PORT),
        "kube-proxy": (plain, 80),
    }
    load.start(targets, RATE)
    for number in range(ROLLOUTS):
        for what in ("deployment/web", "deployment/plain"):
            cluster.kubectl("set", "env", what, f"ROUND={number}", "-n", namespace)
        for what in ("deployment/web", "deployment/plain"):
            cluster.kubectl("rollout", "status", what, "-n", namespace, "--timeout=90s")
        for replicas in (2, 4):
            for what in ("deployment/web", "deployment/plain"):
                cluster.kubectl("scale", what, f"--replicas={replicas}", "-n", namespace)
                cluster.kubectl("rollout", "status", what, "-n", namespace, "--timeout=90s")
        try:
            drain = ("drain", other, "--pod-selector=app in (web,plain)", "--timeout=90s")
            cluster.kubectl(*drain, "--delete-emptydir-data", "--ignore-daemonsets")
        finally:
            cluster.kubectl("uncordon", other)
    for what in ("deployment/web", "deployment/plain"):
        cluster.kubectl("rollout", "status", what, "-n", namespace, "--timeout=90s")
    time.sleep(2)
    counts = load.stop()
    for name, count in counts.items():
        print(f"{name}: {count}")
    print({node: stops(cluster, node) for node in (here, other)})
    for name in ("ClusterIP", "headless"):
        assert counts[name].failed == 0, f"{name}: {counts[name]}"
        assert counts[name].ok > 500, f"{name}: {counts[name]}"


def server_pods(
    cluster: Cluster, namespace: str, networks: str | None, names: list[str], node: str
) -> None:
    """Each has one of the node's things."""
    for name in names:
        one = json.loads(server_pod(name, namespace, networks, GRACE, node))
        one["spec"]["containers"][0]["resources"] = {"limits": {THING: "1"}}
        cluster.apply(json.dumps(one))


@pytest.fixture
def things(deployed: Cluster) -> Iterator[str]:
    """A node that has ten things, which nobody else asks for. Its name."""
    node = deployed.nodes[1]

    def have(count: str | None) -> None:
        patch = {"status": {"capacity": {THING: count}, "allocatable": {THING: count}}}
        deployed.kubectl("patch", "node", node, "--subresource=status", "-p", json.dumps(patch))

    have("10")
    yield node
    have(None)


def test_no_connection_is_lost_where_the_kubelet_ends_pods_by_itself(
    deployed: Cluster, stage: str, namespace: str, things: str
) -> None:
    """Pods out of time, and pods that a critical one pushes out: nothing is deleted in the API."""
    cluster = deployed
    apps: dict[str, str | None] = {"web": stage, "plain": None}
    late = {app: [f"{app}-late-{number}" for number in range(2)] for app in apps}
    pushed = {app: [f"{app}-pushed-{number}" for number in range(2)] for app in apps}
    for app, networks in apps.items():
        cluster.apply(servers(app, namespace, networks, 2, GRACE))
        server_pods(cluster, namespace, networks, late[app] + pushed[app], things)
    ports = [{"name": "http", "port": 80, "targetPort": PORT}]
    selector = {"app": "web"}
    cluster.apply(service("vip", namespace, stage, clusterIP=None, selector=selector, ports=ports))
    cluster.apply(core_service("plain", namespace))
    load = Load(cluster, namespace, stage, cluster.nodes[0])
    ending = [*late["web"], *late["plain"], *pushed["web"], *pushed["plain"]]
    for app in apps:
        cluster.kubectl("rollout", "status", f"deployment/{app}", "-n", namespace, "--timeout=90s")
    for name in ending:
        cluster.wait_pod_ready(name, namespace)

    def available() -> bool:
        status = cluster.json("podnetworkservice", "vip", namespace)["status"]
        return bool(status["endpoints"]["ready"] == 6)

    cluster.wait(available, 20, "six endpoints")
    before = stops(cluster, things)
    targets: dict[str, tuple[str, int]] = {
        "ClusterIP": (cluster.json("service", "vip", namespace)["spec"]["clusterIP"], 80),
        "kube-proxy": (cluster.json("service", "plain", namespace)["spec"]["clusterIP"], 80),
    }
    load.start(targets, RATE)

    def failed(names: list[str]) -> bool:
        phases = {name: cluster.json("pod", name, namespace)["status"]["phase"] for name in names}
        assert set(phases.values()) <= {"Failed", "Succeeded"}, phases
        return True

    soon = json.dumps({"spec": {"activeDeadlineSeconds": 1}})
    for number in range(2):
        for app in apps:
            cluster.kubectl("patch", "pod", late[app][number], "-n", namespace, "-p", soon)
    cluster.wait(lambda: failed(late["web"] + late["plain"]), 60, "the ends of those out of time")
    # The kubelet makes room for one that is bound to it.
    critical = json.loads(pod("critical", namespace))
    critical["spec"] |= {"nodeName": things, "priorityClassName": "system-node-critical"}
    critical["spec"]["containers"][0]["resources"] = {"limits": {THING: "10"}}
    cluster.apply(json.dumps(critical))
    cluster.wait(lambda: failed(ending), 60, "the ends of those pushed out")
    counts = load.stop()
    for name, count in counts.items():
        print(f"{name}: {count}")
    grown = stops(cluster, things).get("held", 0) - before.get("held", 0)
    assert grown == 4, f"{grown} of 4 were held"
    assert counts["ClusterIP"].failed == 0, f"{counts['ClusterIP']}"
    assert counts["ClusterIP"].ok > 200, f"{counts['ClusterIP']}"


def restarting(name: str, namespace: str, network_name: str, sick: list[str], node: str) -> str:
    """A pod whose containers live until /tmp/sick is there."""
    made = json.loads(pod(name, namespace, networks=network_name, labels={"app": "web"}, node=node))
    (container,) = made["spec"]["containers"]
    probe = {"exec": {"command": ["test", "!", "-e", "/tmp/sick"]}, "periodSeconds": 1}
    probe |= {"failureThreshold": 1, "timeoutSeconds": 10}
    made["spec"]["containers"] = [
        container | {"name": one, "livenessProbe": probe if one in sick else None}
        for one in ("main", *(each for each in sick if each != "main"))
    ]
    made["spec"]["terminationGracePeriodSeconds"] = GRACE
    return json.dumps(made)


@pytest.mark.parametrize("sick", ["main", "beside"])
def test_a_pod_that_goes_on_is_taken_out_only_while_nothing_of_it_runs(
    deployed: Cluster, stage: str, namespace: str, sick: str
) -> None:
    """Liveness restarts: of the only container, and of one of two."""
    cluster = deployed
    cluster.apply(service("web", namespace, stage, termination={"seconds": 3}))
    for name in ("stays", "goes-on"):
        cluster.apply(restarting(name, namespace, stage, [sick], cluster.nodes[0]))
    for name in ("stays", "goes-on"):
        cluster.wait_pod_ready(name, namespace)

    def ready() -> int:
        status = cluster.json("podnetworkservice", "web", namespace)["status"]
        return int(status["endpoints"]["ready"])

    cluster.wait(lambda: ready() == 2, 20, "both endpoints")
    said: set[bool] = set()

    def restarted() -> bool:
        for one in cluster.items("endpointslices", namespace):
            for endpoint in one.get("endpoints") or []:
                if endpoint["targetRef"]["name"] == "goes-on":
                    said.add(endpoint["conditions"]["terminating"])
        states = cluster.json("pod", "goes-on", namespace)["status"]["containerStatuses"]
        return max(one["restartCount"] for one in states) == 1

    mark = len(cluster.log(cluster.nodes[0], "agent"))
    touch = ("exec", "goes-on", "-n", namespace, "-c", sick, "--", "touch", "/tmp/sick")
    cluster.kubectl(*touch)
    cluster.wait(restarted, 60, "the restart")
    told = re.findall(
        r"told to stop pod=\S+/goes-on heldMs=(\d+) why=(\S+)",
        cluster.log(cluster.nodes[0], "agent")[mark:],
    )
    (held, why), *_ = told
    if sick == "main":
        assert True in said, "it was offered while its only container was restarted"
        assert why == "held" and int(held) < 6000, told
    else:
        assert said == {False}, "one of its containers went on"
        assert why == "not-deleted" and int(held) < 2000, told
    cluster.wait(lambda: ready() == 2, 30, "both endpoints again")


def both_families(name: str, namespace: str, network_name: str) -> list[str]:
    """A service by ClusterIP and one by name, of the pods with app: NAME."""
    selector, ports = {"app": name}, [{"name": "http", "port": 80, "targetPort": PORT}]
    more: dict[str, Any] = {"selector": selector, "ports": ports}
    by_address = {"clusterIP": None, "ipFamilyPolicy": "RequireDualStack"}
    return [
        service(f"{name}-vip", namespace, network_name, **by_address, **more),
        service(f"{name}-name", namespace, network_name, **more),
    ]


def test_no_connection_is_lost_on_a_wire_by_either_family(
    deployed: Cluster, networks: Networks, namespace: str
) -> None:
    """Bridges with an uplink, and Macvlan; each pod stands in a slice of each family."""
    cluster = deployed
    uplink = {"name": "br-wire", "uplink": "eth2"}
    networks.add_ready(
        network("wire", "10.67.0.0/24", "fd00:67::/64", bridge=uplink),
        macvlan("lan", "eth1", "10.68.0.0/24", "fd00:68::/64"),
    )
    for name in ("wire", "lan"):
        cluster.apply(servers(name, namespace, name, 2, GRACE))
        for manifest in both_families(name, namespace, name):
            cluster.apply(manifest)
    load = Load(cluster, namespace, "wire, lan", cluster.nodes[0])
    targets: dict[str, tuple[str, int] | tuple[str, int, str]] = {}
    for name in ("wire", "lan"):
        cluster.kubectl("rollout", "status", f"deployment/{name}", "-n", namespace)

        def available(name: str = name) -> bool:
            for one in (f"{name}-vip", f"{name}-name"):
                status = cluster.json("podnetworkservice", one, namespace)["status"]
                assert status["endpoints"]["ready"] == 4, f"{one}: {status}"
            return True

        cluster.wait(available, 20, f"two endpoints of each family on {name}")
        four, six = cluster.json("service", f"{name}-vip", namespace)["spec"]["clusterIPs"]
        host = f"{name}-name.{namespace}.svc.cluster.local."
        targets |= {
            f"{name} ClusterIP 4": (four, 80),
            f"{name} ClusterIP 6": (six, 80, "AF_INET6"),
            f"{name} name 4": (host, PORT),
            f"{name} name 6": (host, PORT, "AF_INET6"),
        }
    time.sleep(5)  # names that were asked for before are kept for so long
    load.start(targets, RATE / 5)
    for round_number in range(ROLLOUTS):
        for name in ("wire", "lan"):
            cluster.kubectl(
                "set", "env", f"deployment/{name}", f"R={round_number}", "-n", namespace
            )
        for name in ("wire", "lan"):
            cluster.kubectl("rollout", "status", f"deployment/{name}", "-n", namespace)
        cluster.wait(lambda: nobody_ends(cluster, namespace), 40, "the pods of before to end")
    counts = load.stop()
    for name, count in counts.items():
        print(f"{name}: {count}")
    for name, count in counts.items():
        assert count.failed == 0, f"{name}: {count}"
        assert count.ok > 50, f"{name}: {count}"


def nobody_ends(cluster: Cluster, namespace: str) -> bool:
    every = cluster.items("pods", namespace)
    return not [one for one in every if "deletionTimestamp" in one["metadata"]]


def test_who_has_nothing_to_wait_for_does_not_wait(
    deployed: Cluster, stage: str, namespace: str
) -> None:
    """A hold is for pods that leave others behind, and as long as the service says."""
    cluster = deployed
    node = cluster.nodes[0]
    cluster.apply(service("web", namespace, stage, termination={"seconds": 5}))
    cluster.apply(
        service("off", namespace, stage, selector={"app": "off"}, termination={"hold": "Off"})
    )
    assert (
        cluster.wait(
            lambda: cluster.json("service", "web", namespace)["metadata"]["labels"].get(LABEL_HOLD),
            20,
            "the Service's hold",
        )
        == "5"
    )
    spec = {"terminationGracePeriodSeconds": GRACE}

    def run(name: str, app: str) -> None:
        labels = {"app": app}
        cluster.apply(pod(name, namespace, node=node, networks=stage, labels=labels, spec=spec))

    for name, app in (("a", "web"), ("b", "web"), ("c", "off"), ("d", "off"), ("e", "none")):
        run(name, app)
    for name in "abcde":
        cluster.wait_pod_ready(name, namespace)

    def listed() -> bool:
        status = cluster.json("podnetworkservice", "web", namespace)["status"]
        return bool(status["endpoints"]["ready"] == 2)

    cluster.wait(listed, 20, "both endpoints")
    before = stops(cluster, node)
    assert ended_after(cluster, namespace, "e") < 4, "no service sends it connections"
    assert ended_after(cluster, namespace, "c") < 4, "its service wants no hold"
    assert 5 <= ended_after(cluster, namespace, "a") < 9
    assert ended_after(cluster, namespace, "b") < 5, "nobody is left who could take over"
    now = stops(cluster, node)
    grown = {why: now[why] - before.get(why, 0) for why in now if now[why] != before.get(why, 0)}
    assert grown == {"not-served": 2, "held": 1, "no-other": 1}, grown


def test_a_hold_that_the_grace_period_cuts_short_is_told(
    deployed: Cluster, stage: str, namespace: str
) -> None:
    cluster = deployed
    cluster.apply(service("web", namespace, stage, termination={"seconds": 10}))
    labels = {"app": "web"}
    for name, grace in (("stays", GRACE), ("goes", 6)):
        spec = {"terminationGracePeriodSeconds": grace}
        cluster.apply(pod(name, namespace, networks=stage, labels=labels, spec=spec))
    wait_both(cluster, namespace)
    ended_after(cluster, namespace, "goes")

    def told() -> bool:
        events = cluster.items("events", namespace)
        (one,) = [each for each in events if each["reason"] == "HoldCutShort"]
        assert one["involvedObject"]["name"] == "goes", one
        assert "grace period of 6 s" in one["message"], one
        return True

    cluster.wait(told, 20, "the Event on the pod")


def test_an_agent_that_is_killed_while_it_holds_is_followed_by_one_that_holds(
    deployed: Cluster, stage: str, namespace: str
) -> None:
    cluster = deployed
    node = run_two(cluster, stage, namespace, 4)
    begin = time.monotonic()
    mark = len(cluster.log(node, "agent"))
    cluster.delete("pod", "goes", namespace, "--wait=false")
    time.sleep(2)
    cluster.kill(node, "agent")
    # Its StopContainer failed, so the kubelet goes on to the sandbox: the next agent holds that.
    cluster.wait(lambda: not cluster.exists("pod", "goes", namespace), 60, "the end of the pod")
    assert time.monotonic() - begin > 6, "it ended with the agent"
    told = re.findall(
        r"told to stop pod=\S+/goes heldMs=(\d+) why=(\S+)", cluster.log(node, "agent")[mark:]
    )
    assert told and int(told[0][0]) > 2000, told


HOLD = 5


@pytest.fixture
def two(deployed: Cluster, stage: str, namespace: str) -> str:
    """As run_two, with a hold of five seconds."""
    return run_two(deployed, stage, namespace, HOLD)


def begin_end(cluster: Cluster, namespace: str) -> None:
    """Deletes `goes`, and waits until its slice says so."""
    cluster.delete("pod", "goes", namespace, "--wait=false")

    def told() -> bool:
        return any(
            endpoint["targetRef"]["name"] == "goes" and endpoint["conditions"]["terminating"]
            for one in cluster.items("endpointslices", namespace)
            for endpoint in one.get("endpoints") or []
        )

    cluster.wait(told, 10, "the slice to say that the pod goes")


def lets_go(cluster: Cluster, node: str, namespace: str, within: float) -> float:
    """Seconds until the node has ended the pod, by the runtime's word."""
    begin = time.monotonic()
    cluster.wait(lambda: not sandboxes(cluster, node, namespace, "goes"), within, "the pod's end")
    return time.monotonic() - begin


def why_it_went(cluster: Cluster, node: str, mark: int) -> tuple[int, str]:
    told = re.findall(
        r"told to stop pod=\S+/goes heldMs=(\d+) why=(\S+)", cluster.log(node, "agent")[mark:]
    )
    assert told, "the agent held nothing"
    return int(told[0][0]), str(told[0][1])


def test_a_hold_ends_while_the_api_server_hangs(
    deployed: Cluster, two: str, namespace: str
) -> None:
    mark = len(deployed.log(two, "agent"))
    begin_end(deployed, namespace)
    with frozen(deployed, "cp", "kube-apiserver"):
        lets_go(deployed, two, namespace, 2 * HOLD + 10)
        held, why = why_it_went(deployed, two, mark)
    assert why == "held" and held > (HOLD - 2) * 1000, f"{held} ms, {why}"
    deployed.wait(lambda: not deployed.exists("pod", "goes", namespace), 60, "the object's end")


def test_a_hold_goes_on_with_an_agent_that_hung(
    deployed: Cluster, two: str, namespace: str
) -> None:
    """Longer than the hold takes: nothing is left of it then, whether the call to stop came before or
    after it hung."""
    before = stops(deployed, two)
    begin_end(deployed, namespace)
    with frozen(deployed, two, "agent"):
        hold(lambda: sandboxes(deployed, two, namespace, "goes"), HOLD + 2, "a pod that is held")
    assert lets_go(deployed, two, namespace, HOLD + 10) < HOLD + 3
    after = stops(deployed, two)
    assert after.pop("held") > before.pop("held", 0)
    assert after == before


def test_a_hold_ends_without_a_word_of_the_controller(
    deployed: Cluster, two: str, namespace: str
) -> None:
    """All controllers hang: no slice says that the pod goes. Its node waits for a while, then goes on."""
    controllers = [
        one["metadata"]["name"]
        for one in deployed.items("pods", SYSTEM)
        if one["metadata"]["name"].startswith("multinet-controller-")
    ]
    mark = len(deployed.log(two, "agent"))
    with ExitStack() as stack:
        for name in controllers:
            stack.enter_context(frozen_pod(deployed, SYSTEM, name))
        deployed.delete("pod", "goes", namespace, "--wait=false")
        lets_go(deployed, two, namespace, HOLD + 20)
        held, why = why_it_went(deployed, two, mark)
        assert why == "unseen" and held > HOLD * 1000, f"{held} ms, {why}"

    def said() -> bool:
        status = deployed.json("podnetworkservice", "web", namespace)["status"]
        return bool(status["endpoints"]["ready"] == 1)

    deployed.wait(said, 60, "the controllers to go on")
