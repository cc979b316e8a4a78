"""A node goes down hard and comes back with another boot ID: no process, no namespace, no link of
before is left, and its pods come back with their networks."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from e2elib.admission import try_out
from e2elib.checks import assert_clean
from e2elib.cluster import Cluster
from e2elib.networks import Networks
from e2elib.objects import address, interface, macvlan, network, ready_condition, vxlan
from e2elib.ping import Pinger
from e2elib.pods import pod

BOOT_ID = "/proc/sys/kernel/random/boot_id"
COMPONENTS = ("kubelet", "kube-proxy", "agent", "containerd")
KEPT_LINKS = ("lo", "eth0", "eth1", "eth2")
NAMES = ("boot-vxlan", "boot-bridge", "boot-macvlan")


@pytest.fixture
def networks(deployed: Cluster) -> Iterator[Networks]:
    made = Networks(deployed)
    made.add_served(
        vxlan(NAMES[0], "10.48.1.0/24", "fd00:48::/64"),
        network(NAMES[1], "10.48.2.0/24"),
        macvlan(NAMES[2], "eth1", "192.168.48.0/24"),
    )
    yield made
    made.remove()


class Power:
    """A node's power button: what a reset takes with it on this test cluster."""

    def __init__(self, cluster: Cluster, node: str) -> None:
        self.cluster = cluster
        self.node = node

    def _run(self, script: str) -> str:
        return self.cluster.node_exec(self.node, "bash", "-c", script)

    def off(self) -> None:
        self.cluster.kill_for_good(self.node, *COMPONENTS)
        # All of the machine but its process 1, which is the test cluster's, and this shell.
        self._run(
            "for each in /proc/[0-9]*; do pid=${each#/proc/}; "
            '[ "$pid" = 1 ] || [ "$pid" = $$ ] || kill -9 "$pid" 2>&-; done; true'
        )
        self._run("for each in /run/netns/* /run/multinet/*; do umount -l $each 2>&-; done; true")
        self._run("grep -oE ' /(run|var)/[^ ]*' /proc/mounts | sort -r | "
                  "grep -E 'containerd|kubelet' | xargs -r umount -l; true")  # fmt: skip
        self._run("rm -rf /run/netns /run/containerd /var/lib/cni; nft flush ruleset")
        self._run("find /run/multinet ! -name cri.sock -type f -delete")
        for link in self._run("ls /sys/class/net").split():
            if link not in KEPT_LINKS:
                self.cluster.node_exec_try(self.node, "ip", "link", "del", link)

    def on(self) -> None:
        file = self.cluster.node_file(self.node, "/run/boot-id")
        file.write_text(f"{uuid.uuid4()}\n")
        self._run(f"mount --bind /run/boot-id {BOOT_ID}")
        for component in reversed(COMPONENTS):
            self.cluster.start(self.node, component)

    def as_before(self) -> None:
        """The machine's own boot ID again, for who starts next."""
        self.cluster.node_exec_try(self.node, "umount", BOOT_ID)


def wait_back(cluster: Cluster, name: str, namespace: str) -> None:
    def back() -> bool:
        status = cluster.json("pod", name, namespace)["status"]
        container = status["containerStatuses"][0]
        return bool(container["restartCount"] > 0 and container["ready"])

    cluster.wait(back, 120, f"pod {name} to run again")


def test_pods_come_back_with_their_networks(
    deployed: Cluster, networks: Networks, namespace: str
) -> None:
    here, there = deployed.nodes
    request = ", ".join(NAMES)
    links = ("net1", "net2", "net3")
    for name, node in (("stays", here), ("returns", there), ("beside", there)):
        deployed.apply(pod(name, namespace, node=node, networks=request))
    for name in ("stays", "returns", "beside"):
        deployed.wait_pod_ready(name, namespace, 60)
    before = {
        name: [interface(deployed, namespace, name, link) for link in links]
        for name in ("returns", "beside")
    }
    asks = Pinger(deployed, namespace, "stays")
    asks.wait(address(before["returns"][0]), 15)

    power = Power(deployed, there)
    power.off()
    try:
        power.on()

        for name in before:
            wait_back(deployed, name, namespace)
            deployed.wait_pod_ready(name, namespace, 60)
        for name, interfaces in before.items():
            now = [interface(deployed, namespace, name, link) for link in links]
            assert [(one["ips"], one["mac"]) for one in now] == [
                (one["ips"], one["mac"]) for one in interfaces
            ]
            asks.wait(address(now[0], "IPv4"), 20)
            asks.wait(address(now[0], "IPv6"), 20)
            asks.wait(address(now[2]), 20)
        assert_clean(deployed, 60)
    finally:
        power.as_before()


def test_no_verdict_since_then_keeps_a_network_from_its_pods(
    deployed: Cluster, namespace: str
) -> None:
    """Disabled, or being deleted, a network takes no new pod, and comes back to those that were on it."""
    node = deployed.nodes[1]
    made = Networks(deployed)
    made.add_served(vxlan("boot-off", "10.49.1.0/24"), network("boot-leaves", "10.49.2.0/24"))
    power = Power(deployed, node)
    try:
        deployed.apply(pod("returns", namespace, node=node, networks="boot-off, boot-leaves"))
        deployed.wait_pod_ready("returns", namespace, 60)
        before = [
            interface(deployed, namespace, "returns", link)["ips"] for link in ("net1", "net2")
        ]
        off = '{"spec":{"enabled":false}}'
        deployed.kubectl("patch", "podnetwork", "boot-off", "--type=merge", "-p", off)
        deployed.delete("podnetwork", "boot-leaves", "", "--wait=false")
        verdicts = {"boot-off": "AdministrativelyDisabled", "boot-leaves": "Deleting"}
        for name, reason in verdicts.items():
            deployed.wait(
                lambda name=name, reason=reason: ready_condition(deployed, name)["reason"]
                == reason,
                20,
                f"{name} to be {reason}",
            )
        power.off()
        power.on()
        wait_back(deployed, "returns", namespace)
        deployed.wait_pod_ready("returns", namespace, 60)
        after = [
            interface(deployed, namespace, "returns", link)["ips"] for link in ("net1", "net2")
        ]
        assert after == before
        for name in verdicts:
            assert try_out(deployed, pod("new", namespace, networks=name))[0] != 0
    finally:
        power.as_before()
        deployed.delete("pod", "returns", namespace)
        made.remove()
