"""A node goes down hard and comes back with another boot ID: no process, no namespace, no link of
before is left, and its pods come back with their networks."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from e2elib.checks import assert_clean
from e2elib.cluster import Cluster
from e2elib.networks import Networks
from e2elib.objects import address, interface, macvlan, network, vxlan
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

        def back(name: str) -> bool:
            status = deployed.json("pod", name, namespace)["status"]
            container = status["containerStatuses"][0]
            return bool(container["restartCount"] > 0 and container["ready"])

        for name in before:
            deployed.wait(lambda name=name: back(name), 120, f"pod {name} to run again")
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
