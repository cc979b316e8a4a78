"""How networks, addresses and their objects begin and end: deletion and who holds it, disabling,
quarantine, exhaustion, conflicts, sets that fit no pod, a leader that dies, certificates renewed."""

from __future__ import annotations

import base64
import json
import time
from datetime import datetime

from e2elib.admission import WEBHOOKS, try_out, without
from e2elib.checks import COUNTED_WITHIN, assert_clean
from e2elib.cluster import Cluster
from e2elib.events import wait_event
from e2elib.networks import Networks
from e2elib.objects import (
    API,
    address,
    attachment,
    interface,
    interface_sets,
    network,
    ready_condition,
    together,
    vxlan,
    wait_ready,
)
from e2elib.pods import pod

SYSTEM = "multinet-system"
QUARANTINE_SECONDS = 5  # as conftest.py starts the agents


def one_address(name: str) -> str:
    """A network in which a single pod finds an address."""
    subnet = {"cidr": "10.61.0.0/30", "gateway": "10.61.0.1"}
    return network(name, ipam={"subnets": [subnet]})


def remove(cluster: Cluster, namespace: str, name: str, *more: str) -> None:
    cluster.delete("pod", name, namespace, "--grace-period=1", *more)


def test_a_deletion_waits_and_names_who_holds_the_network(
    deployed: Cluster, networks: Networks, namespace: str
) -> None:
    networks.add_ready(network("held", "10.60.0.0/24"))
    node = deployed.nodes[0]
    deployed.apply(attachment("way", namespace, "held"))
    deployed.apply(pod("a", namespace, node=node, networks="held"))
    deployed.apply(pod("b", namespace, node=node, networks="attachment/way"))
    for name in ("a", "b"):
        deployed.wait_pod_ready(name, namespace)

    def counted() -> bool:
        entry = deployed.json("podnetworkattachment", "way", namespace)
        status = networks.status("held")
        assert status["nodes"] == {"desired": 1, "ready": 1}, status
        return status["attachedPods"] == 2 and entry["status"]["attachedPods"] == 1

    deployed.wait(counted, COUNTED_WITHIN, "two pods to be counted, one by the attachment")
    in_use = networks.condition("held", "InUse")
    assert (in_use["status"], in_use["reason"]) == ("True", "PodsAttached")

    deployed.delete("podnetwork", "held", "", "--wait=false")

    def blocked_by(*names: str) -> None:
        blockers = [f"pod {namespace}/{name}" for name in names]
        deployed.wait(
            lambda: networks.status("held").get("blockers") == blockers, 20, f"blockers {blockers}"
        )

    blocked_by("a", "b")
    assert ready_condition(deployed, "held")["reason"] == "Deleting"
    code, err = try_out(deployed, pod("late", namespace, networks="held"))
    assert code != 0
    assert "is being deleted" in err
    remove(deployed, namespace, "a")
    blocked_by("b")
    remove(deployed, namespace, "b")
    deployed.wait(lambda: not deployed.exists("podnetwork", "held"), 20, "the network to be gone")


def test_disabled_stops_new_pods_and_leaves_running_ones(
    deployed: Cluster, networks: Networks, namespace: str
) -> None:
    networks.add_ready(network("pausable", "10.60.1.0/24"))
    deployed.apply(pod("old", namespace, networks="pausable"))
    deployed.wait_pod_ready("old", namespace)
    before = interface(deployed, namespace, "old", "net1")

    def enable(value: str) -> None:
        change = f'{{"spec":{{"enabled":{value}}}}}'
        deployed.kubectl("patch", "podnetwork", "pausable", "--type=merge", "-p", change)

    enable("false")
    deployed.wait(
        lambda: ready_condition(deployed, "pausable").get("reason") == "AdministrativelyDisabled",
        20,
        "the network to be disabled",
    )
    code, err = try_out(deployed, pod("new", namespace, networks="pausable"))
    assert code != 0
    assert "is disabled" in err
    assert before["ips"][0]["address"] in deployed.pod_exec(
        namespace, "old", "ip", "-o", "addr", "show", "net1"
    )
    deployed.wait_pod_ready("old", namespace)
    assert interface(deployed, namespace, "old", "net1") == before

    enable("true")
    wait_ready(deployed, "pausable")
    deployed.apply(pod("new", namespace, networks="pausable"))
    deployed.wait_pod_ready("new", namespace)


def test_a_subnet_leaves_once_nobody_has_addresses_of_it(
    deployed: Cluster, networks: Networks, namespace: str
) -> None:
    used, unused = "10.60.9.0/24", "10.60.10.0/24"
    networks.add_ready(network("shrinks", ipam={"subnets": [{"cidr": used}, {"cidr": unused}]}))
    deployed.apply(pod("a", namespace, networks="shrinks"))
    deployed.wait_pod_ready("a", namespace)

    def subnets(*entries: dict[str, object]) -> tuple[int, str]:
        change = json.dumps({"spec": {"ipam": {"subnets": list(entries)}}})
        code, _, err = deployed.kubectl_try(
            "patch", "podnetwork", "shrinks", "--type=merge", "-p", change
        )
        return code, err

    def excluded(cidr: str) -> dict[str, object]:
        return {"cidr": cidr, "exclude": [cidr]}

    code, err = subnets({"cidr": used})
    assert code != 0 and "wait until status.removableSubnets lists it" in err, err
    assert subnets(excluded(used), excluded(unused))[0] == 0
    deployed.wait(
        lambda: networks.status("shrinks").get("removableSubnets") == [unused],
        20,
        "the unused subnet alone to be called removable",
    )
    assert subnets(excluded(unused))[0] != 0
    code, err = subnets(excluded(used))
    assert code == 0, err
    code, err = subnets({"cidr": used})
    assert code == 0, err
    wait_ready(deployed, "shrinks")
    deployed.apply(pod("b", namespace, networks="shrinks"))
    deployed.wait_pod_ready("b", namespace)


def test_a_freed_address_rests_and_comes_back(
    deployed: Cluster, networks: Networks, namespace: str
) -> None:
    networks.add_ready(one_address("single"))
    node = deployed.nodes[0]
    deployed.apply(pod("first", namespace, node=node, networks="single"))
    deployed.wait_pod_ready("first", namespace)
    only = address(interface(deployed, namespace, "first", "net1"))
    freed_after = time.time()
    remove(deployed, namespace, "first")
    deployed.apply(pod("second", namespace, node=node, networks="single"))
    told = wait_event(deployed, namespace, "second", "PoolExhausted", "1 in quarantine")
    assert "10.61.0.0/30" in told
    deployed.wait_pod_ready("second", namespace, 90)
    got = interface(deployed, namespace, "second", "net1")
    assert address(got) == only
    attached = datetime.fromisoformat(got["attachedAt"]).timestamp()
    assert attached - freed_after >= QUARANTINE_SECONDS


def test_a_pool_with_fewer_addresses_than_pods_says_so_in_numbers(
    deployed: Cluster, networks: Networks, namespace: str
) -> None:
    networks.add_ready(network("small", "10.61.1.0/29"))  # six addresses
    node = deployed.nodes[0]
    names = [f"p{number}" for number in range(7)]
    deployed.apply(together(*(pod(name, namespace, node=node, networks="small") for name in names)))

    def six() -> bool:
        return len(interface_sets(deployed, namespace)) == 6

    deployed.wait(six, 60, "six pods to be attached")
    (left,) = set(names) - set(interface_sets(deployed, namespace))
    told = wait_event(deployed, namespace, left, "PoolExhausted")
    for words in ('network "small"', "10.61.1.0/29", "6 in all, 6 by this node", "6 are in use"):
        assert words in told
    assert "add a subnet or end pods" in told
    one = next(name for name in names if name != left)
    remove(deployed, namespace, one)
    deployed.wait_pod_ready(left, namespace, 90)
    assert_clean(deployed)


def test_the_younger_of_two_networks_with_one_vni_is_in_conflict(
    deployed: Cluster, networks: Networks
) -> None:
    networks.add_ready(vxlan("elder", "10.62.0.0/24", vni=7100))
    younger = vxlan("younger", "10.62.1.0/24", vni=7100)
    code, err = try_out(deployed, younger)
    assert code != 0
    assert 'spec.vxlan.vni: "7100" is taken by another network' in err

    def holder() -> str:
        return str(deployed.json("networkidentifier", "vxlan-7100")["spec"]["podNetworkName"])

    assert holder() == "elder"
    with without(deployed, *WEBHOOKS):
        networks.add(younger)
        deployed.wait(
            lambda: ready_condition(deployed, "younger").get("reason") == "Conflict",
            20,
            "the younger one to be in conflict",
        )
    told = ready_condition(deployed, "younger")
    assert told["status"] == "False"
    assert '"elder"' in told["message"]
    assert "7100" in told["message"]
    assert ready_condition(deployed, "elder")["status"] == "True"
    assert holder() == "elder"
    code, err = try_out(deployed, pod("late", "default", networks="younger"))
    assert code != 0
    assert "isn't Ready (Conflict" in err
    # The elder's end is the younger's turn.
    deployed.delete("podnetwork", "elder")
    wait_ready(deployed, "younger")
    assert holder() == "younger"


def test_an_allocated_vni_is_reserved_and_given_back(deployed: Cluster, networks: Networks) -> None:
    networks.add_ready(vxlan("numbered", "10.62.2.0/24"))
    vni = networks.status("numbered")["vni"]
    assert 100000 <= vni <= 199999
    reserved = deployed.json("networkidentifier", f"vxlan-{vni}")["spec"]
    uid = deployed.json("podnetwork", "numbered")["metadata"]["uid"]
    assert (reserved["podNetworkName"], reserved["podNetworkUID"]) == ("numbered", uid)
    deployed.delete("podnetwork", "numbered")
    deployed.wait(
        lambda: not deployed.exists("networkidentifier", f"vxlan-{vni}"), 20, "the VNI to be free"
    )


def forged(namespace: str, pod_name: str, uid: str, node: str, address: str) -> str:
    return json.dumps(
        {
            "apiVersion": API,
            "kind": "PodInterfaceSet",
            "metadata": {"name": f"{pod_name}-{uid[:8]}", "namespace": namespace},
            "pod": {"name": pod_name, "uid": uid},
            "nodeName": node,
            "interfaces": [
                {
                    "name": "net1",
                    "podNetworkName": "believed",
                    "type": "Bridge",
                    "ips": [{"address": f"{address}/24", "family": "IPv4"}],
                }
            ],
        }
    )


def test_sets_that_fit_no_live_pod_are_deleted(
    deployed: Cluster, networks: Networks, namespace: str
) -> None:
    # The lies' addresses are nobody's, since the checker reads the store's history later on.
    lies = {"cidr": "10.60.2.0/24", "exclude": ["10.60.2.64/27"]}
    networks.add_ready(network("believed", ipam={"subnets": [lies]}))
    here, there = deployed.nodes
    deployed.apply(pod("real", namespace, node=here, networks="believed"))
    uid = deployed.wait_pod_ready("real", namespace)["metadata"]["uid"]
    interface(deployed, namespace, "real", "net1")
    other = "11111111-2222-3333-4444-555555555555"
    for lie in (
        forged(namespace, "ghost", other, here, "10.60.2.77"),
        forged(namespace, "real", other, here, "10.60.2.78"),
        forged(namespace, "real", "22222222" + uid[8:], there, "10.60.2.79"),
    ):
        deployed.apply(lie)

    def only_the_real_one() -> bool:
        names = [one["metadata"]["name"] for one in deployed.items("podinterfacesets", namespace)]
        return names == [f"real-{uid[:8]}"]

    deployed.wait(only_the_real_one, 20, "the forged sets to be deleted")
    deployed.wait(
        lambda: networks.status("believed")["attachedPods"] == 1,
        COUNTED_WITHIN,
        "one pod to be counted",
    )


def test_a_network_made_again_waits_for_the_blocks_of_the_old_one(
    deployed: Cluster, networks: Networks, namespace: str
) -> None:
    networks.add_ready(one_address("again"))
    node = deployed.nodes[0]
    old = deployed.json("podnetwork", "again")["metadata"]["uid"]
    deployed.apply(pod("first", namespace, node=node, networks="again"))
    deployed.wait_pod_ready("first", namespace)
    (block,) = [one for one in deployed.items("ipblocks") if one["spec"]["podNetworkUID"] == old]
    remove(deployed, namespace, "first")
    deployed.delete("podnetwork", "again", "", "--timeout=30s")
    name = block["metadata"]["name"]
    deployed.wait(lambda: not deployed.exists("ipblock", name), 20, "the old block to be collected")

    # Of a node that is away such a block isn't collected before it is surely gone.
    left = {
        "apiVersion": API,
        "kind": "IPBlock",
        "metadata": {"name": name},
        "spec": block["spec"] | {"nodeName": "lost-node"},
    }
    deployed.apply(json.dumps(left))
    networks.add_ready(one_address("again"))
    deployed.apply(pod("second", namespace, node=node, networks="again"))
    wait_event(deployed, namespace, "second", "PredecessorsBlocks", "earlier network of this name")
    deployed.delete("ipblock", name)
    deployed.wait_pod_ready("second", namespace, 90)
    new = deployed.json("podnetwork", "again")["metadata"]["uid"]
    assert new != old
    assert deployed.json("ipblock", name)["spec"]["podNetworkUID"] == new


def test_the_set_of_a_pod_deleted_by_force_goes(
    deployed: Cluster, networks: Networks, namespace: str
) -> None:
    networks.add_ready(network("forceful", "10.60.3.0/24"))
    deployed.apply(pod("torn", namespace, networks="forceful"))
    deployed.wait_pod_ready("torn", namespace)
    interface(deployed, namespace, "torn", "net1")
    deployed.kubectl("delete", "pod", "torn", "-n", namespace, "--force", "--grace-period=0")
    deployed.wait(lambda: not interface_sets(deployed, namespace), 30, "its set to be gone")
    deployed.wait(
        lambda: networks.status("forceful")["attachedPods"] == 0,
        COUNTED_WITHIN,
        "no pod to be counted",
    )
    assert_clean(deployed, 40)


def holder(cluster: Cluster) -> str:
    return str(cluster.json("lease", "multinet-controller", SYSTEM)["spec"]["holderIdentity"])


def test_another_controller_goes_on_when_the_leader_is_killed(
    deployed: Cluster, networks: Networks
) -> None:
    leader = holder(deployed)
    name = leader.rsplit("_", 1)[0]
    node = deployed.json("pod", name, SYSTEM)["spec"]["nodeName"]
    container = deployed.node_exec(
        node, "crictl", "ps", "-q", "--name=controller", f"--label=io.kubernetes.pod.name={name}"
    ).strip()
    told = json.loads(deployed.node_exec(node, "crictl", "inspect", container))
    deployed.node_exec(node, "kill", "-9", str(told["info"]["pid"]))
    networks.add(network("led", "10.60.4.0/24"))
    wait_ready(deployed, "led", timeout=60)
    assert holder(deployed) not in ("", leader)
    deployed.kubectl(
        "rollout", "status", "deployment/multinet-controller", "-n", SYSTEM, "--timeout=50s"
    )


def serving(cluster: Cluster, address_of_pod: str) -> str:
    """The serial number of the certificate that a webhook pod serves now."""
    script = (
        f"openssl s_client -connect {address_of_pod}:8443 </dev/null 2>/dev/null"
        " | openssl x509 -noout -serial"
    )
    return cluster.node_exec(cluster.nodes[0], "sh", "-c", script).strip()


def test_a_new_certificate_is_served_without_a_restart(deployed: Cluster) -> None:
    label = "-lapp.kubernetes.io/name=multinet-webhook"

    def pods() -> list[dict]:
        out = deployed.kubectl("get", "pods", "-n", SYSTEM, label, "-o", "json")
        return list(json.loads(out)["items"])

    def restarts() -> dict[str, int]:
        return {
            one["metadata"]["name"]: one["status"]["containerStatuses"][0]["restartCount"]
            for one in pods()
        }

    def admission_works() -> None:
        code, err = try_out(deployed, network("trusted", "10.77.0.0/16"))
        assert (code, err) == (0, "")

    before = {one["status"]["podIP"]: serving(deployed, one["status"]["podIP"]) for one in pods()}
    counted = restarts()
    deployed.kubectl("delete", "secret", "multinet-webhook-tls", "-n", SYSTEM)
    deployed.wait(
        lambda: deployed.exists("secret", "multinet-webhook-tls", SYSTEM), 40, "a new certificate"
    )
    secret = deployed.json("secret", "multinet-webhook-tls", SYSTEM)["data"]
    assert b"BEGIN CERTIFICATE" in base64.b64decode(secret["tls.crt"])
    # The kubelet looks at mounted Secrets whenever it looks at a pod: once a minute, or when it changes.
    mark = f"e2e/looked-at={time.time():.0f}"
    deployed.kubectl("annotate", "pods", "-n", SYSTEM, label, mark, "--overwrite")

    def all_new() -> bool:
        admission_works()
        return all(serving(deployed, ip) not in ("", old) for ip, old in before.items())

    deployed.wait(all_new, 90, "every webhook to serve the new certificate")
    admission_works()
    assert restarts() == counted
