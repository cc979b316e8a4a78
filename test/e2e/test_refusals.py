"""Each layer refuses by itself: the webhook; with it away the controller and the agent."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from e2elib.admission import POD_POLICY, WEBHOOKS, try_out, without
from e2elib.cluster import Cluster
from e2elib.objects import interface_sets, ready_condition, together, wait_ready
from e2elib.pods import pod
from e2elib.refusals import (
    ATTACHMENTS,
    BAD_ATTACHMENTS,
    BAD_BY_OBJECTS,
    BAD_NETWORKS,
    BAD_REQUESTS,
    NAMESPACE,
    NETWORKS,
    BadObject,
    BadRequest,
)


def asking(name: str, bad: BadRequest, node: str = "") -> str:
    return pod(name, NAMESPACE, node=node, networks=bad.request, spec=bad.spec)


@pytest.fixture(scope="module")
def world(deployed: Cluster) -> Iterator[Cluster]:
    """Networks and attachments without fault, one network held in its deletion by a pod."""
    deployed.kubectl("create", "namespace", NAMESPACE)
    try:
        deployed.apply(together(*NETWORKS.values(), *ATTACHMENTS.values()))
        wait_ready(deployed, *(set(NETWORKS) - {"off"}))
        deployed.apply(pod("holder", NAMESPACE, networks="leaving"))
        deployed.wait_pod_ready("holder", NAMESPACE)
        deployed.delete("podnetwork", "leaving", "", "--wait=false")
        yield deployed
    finally:
        deployed.kubectl("delete", "namespace", NAMESPACE, "--timeout=55s")
        deployed.kubectl("delete", "podnetwork", *NETWORKS, "--ignore-not-found", "--timeout=50s")


@pytest.mark.parametrize("what", BAD_REQUESTS)
def test_the_webhook_refuses_the_request(world: Cluster, what: str) -> None:
    bad = BAD_REQUESTS[what]
    code, err = try_out(world, asking("bad", bad))
    assert code != 0, f"{what} was taken"
    assert "multinet.dev" in err
    assert f"{bad.path}" in err
    assert (bad.to_anybody or bad.says) in err


@pytest.mark.parametrize("what", [*BAD_NETWORKS, *BAD_ATTACHMENTS])
def test_the_webhook_refuses_the_object(world: Cluster, what: str) -> None:
    for table in (BAD_NETWORKS, BAD_ATTACHMENTS):
        bad = table.get(what)
        if bad is None:
            continue
        code, err = try_out(world, bad.manifest)
        assert code != 0, f"{what} was taken"
        assert bad.path in err
        assert (bad.to_anybody or bad.says) in err


def test_a_network_and_its_attachment_may_come_in_one_file(world: Cluster) -> None:
    """Nobody is refused because a cache hasn't heard yet."""
    for number in range(5):
        name = f"pair-{number}"
        network = json.loads(NETWORKS["good"])
        network["metadata"]["name"] = name
        network["spec"]["bridge"] = {"name": f"br-{name}"}
        way = json.loads(ATTACHMENTS["one"])
        way["metadata"]["name"] = name
        way["spec"]["podNetworkName"] = name
        try:
            world.apply(together(json.dumps(network), json.dumps(way)))
            wait_ready(world, name)
        finally:
            world.delete("podnetworkattachment", name, NAMESPACE)
            world.delete("podnetwork", name)


def judged(cluster: Cluster, kind: str, bad: BadObject) -> dict:
    where = NAMESPACE if kind == "podnetworkattachment" else ""
    status = cluster.json(kind, bad.name, where).get("status", {})
    return next((one for one in status.get("conditions", []) if one["type"] == "Ready"), {})


@pytest.fixture(scope="module")
def unguarded(world: Cluster) -> Iterator[Cluster]:
    """Webhooks and policy away; the bad objects are there."""
    names = [bad.name for bad in BAD_NETWORKS.values()]
    with without(world, *WEBHOOKS, POD_POLICY):
        try:
            objects = [*BAD_NETWORKS.values(), *BAD_ATTACHMENTS.values()]
            world.apply(together(*(bad.manifest for bad in objects)))
            yield world
        finally:
            world.kubectl("delete", "podnetwork", *names, "--timeout=50s")


@pytest.mark.parametrize("what", BAD_NETWORKS)
def test_the_controller_refuses_the_network(unguarded: Cluster, what: str) -> None:
    bad = BAD_NETWORKS[what]

    def refused() -> bool:
        told = ready_condition(unguarded, bad.name)
        assert (told.get("status"), told.get("reason")) == ("False", bad.reason), told
        return bad.reason == "Conflict" or (
            bad.path in told.get("message", "") and bad.says in told.get("message", "")
        )

    unguarded.wait(refused, 20, f"the controller to refuse {bad.name}")


@pytest.mark.parametrize("what", BAD_ATTACHMENTS)
def test_the_controller_refuses_the_attachment(unguarded: Cluster, what: str) -> None:
    bad = BAD_ATTACHMENTS[what]

    def refused() -> bool:
        told = judged(unguarded, "podnetworkattachment", bad)
        assert (told.get("status"), told.get("reason")) == ("False", bad.reason), told
        return bad.reason != "Invalid" or bad.says in told.get("message", "")

    unguarded.wait(refused, 20, f"the controller to refuse {bad.name}")


def test_the_agent_refuses_by_itself(unguarded: Cluster) -> None:
    """Every pod is created, none gets an interface or a container, and its Event names the rule."""
    table = BAD_REQUESTS | BAD_BY_OBJECTS
    pods = {f"bad-{number}": bad for number, bad in enumerate(table.values())}
    nodes = unguarded.nodes
    unguarded.apply(
        together(*(asking(name, bad, nodes[i % 2]) for i, (name, bad) in enumerate(pods.items())))
    )

    def all_refused() -> bool:
        told: dict[str, list[str]] = {}
        for event in unguarded.items("events", NAMESPACE):
            if event.get("source", {}).get("component") != "multinet-nodeagent":
                continue
            line = f"{event['reason']}: {event['message']}"
            told.setdefault(event["involvedObject"]["name"], []).append(line)
        missing = {
            f"{name} {bad.request!r}": told.get(name)
            for name, bad in pods.items()
            if not any(
                line.startswith(f"{bad.reason}: ") and bad.path in line and bad.says in line
                for line in told.get(name, [])
            )
        }
        assert not missing, json.dumps(missing, indent=1)
        return True

    try:
        unguarded.wait(all_refused, 60, "an Event of the agent on each pod")
        assert set(interface_sets(unguarded, NAMESPACE)) <= {"holder"}
        for entry in unguarded.items("pods", NAMESPACE):
            if entry["metadata"]["name"] in pods:
                assert entry["status"]["phase"] == "Pending", entry["metadata"]["name"]
    finally:
        unguarded.kubectl(
            "delete", "pods", *pods, "-n", NAMESPACE, "--grace-period=1", "--timeout=50s"
        )
