"""Pods that a real kubelet ends because its node is short of memory: no connection by ClusterIP is
lost, though nothing is deleted in the API. kube-proxy on eth0 serves the same in the same run."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2elib.cluster import Cluster
from e2elib.kubelets import other_kubelet
from e2elib.load import PORT, Count, Load, server_pod
from e2elib.networks import Networks
from e2elib.objects import service, vxlan

RATE = float(os.environ.get("MULTINET_RATE", "75"))
GRACE = 20
FIRST_TO_GO = "first-to-go"
# The kubelet looks each 10 s, ends one pod a look, and waits until it is gone.
ENDED_WITHIN = 150


class Scene:
    """Behind a ClusterIP on a network, and behind one of core's on eth0, two pods of a node that stays and two of one
    whose kubelet is to end them."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.stays, self.ends = cluster.nodes[:2]
        self.victims: list[str] = []
        for app, networks in (("web", "stage"), ("plain", None)):
            for number in range(2):
                stays = server_pod(f"{app}-stays-{number}", namespace, networks, GRACE, self.stays)
                name = f"{app}-ends-{number}"
                ends = json.loads(
                    server_pod(
                        name, namespace, networks, GRACE, self.ends, priorityClassName=FIRST_TO_GO
                    )
                )
                # One that asks for nothing is ended by the kubelet's start already.
                ends["spec"]["containers"][0]["resources"] = {"requests": {"memory": "1Mi"}}
                cluster.apply(stays)
                cluster.apply(json.dumps(ends))
                self.victims.append(name)
        ports = [{"name": "http", "port": 80, "targetPort": PORT}]
        cluster.apply(service("web", namespace, "stage", clusterIP=None, ports=ports))
        spec = {"selector": {"app": "plain"}, "ports": ports}
        metadata = {"name": "plain", "namespace": namespace}
        core = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
        cluster.apply(json.dumps(core))
        self.load = Load(cluster, namespace, "stage", self.stays)
        for one in self.victims:
            cluster.wait_pod_ready(one, namespace)
            cluster.wait_pod_ready(one.replace("ends", "stays"), namespace)
        cluster.wait(lambda: self._ready() == 4, 20, "four endpoints")

    def _ready(self) -> int:
        status = self.cluster.json("podnetworkservice", "web", self.namespace)["status"]
        return int(status["endpoints"]["ready"])

    def ask(self) -> None:
        def address(name: str) -> str:
            spec = self.cluster.json("service", name, self.namespace)["spec"]
            return str(spec["clusterIP"])

        self.load.start(
            {"ClusterIP": (address("web"), 80), "kube-proxy": (address("plain"), 80)}, RATE
        )

    def pods(self) -> list[dict[str, Any]]:
        return [self.cluster.json("pod", name, self.namespace) for name in self.victims]

    def have_ended(self) -> bool:
        phases = {one["metadata"]["name"]: one["status"]["phase"] for one in self.pods()}
        assert set(phases.values()) <= {"Failed", "Succeeded"}, phases
        return True

    def held(self) -> Callable[[], set[str]]:
        """Whose containers' stops were held since then; a kubelet may repeat one."""
        mark = len(self.cluster.log(self.ends, "agent"))

        def held() -> set[str]:
            told = self.cluster.log(self.ends, "agent")[mark:]
            return set(re.findall(r"pod=\S+/(\S+) heldMs=\d+ why=held", told))

        return held

    def count(self) -> dict[str, Count]:
        counts = self.load.stop()
        for name, count in counts.items():
            print(f"{name}: {count}")
        return counts


@pytest.fixture
def scene(deployed: Cluster, networks: Networks, namespace: str) -> Iterator[Scene]:
    networks.add_ready(vxlan("stage", "10.66.0.0/24"))
    priority = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": -1000}
    deployed.apply(json.dumps(priority | {"metadata": {"name": FIRST_TO_GO}}))
    yield Scene(deployed, namespace)
    deployed.delete("priorityclass", FIRST_TO_GO)


def test_no_connection_is_lost_by_an_eviction(scene: Scene, tmp_path: Path) -> None:
    cluster = scene.cluster
    held = scene.held()
    scene.ask()
    short = {
        "localStorageCapacityIsolation": True,  # else it hears nothing of disks, and does nothing
        "evictionSoft": {"memory.available": "99%"},  # 0% and 100% say nothing
        "evictionSoftGracePeriod": {"memory.available": "1s"},
        "evictionMaxPodGracePeriod": GRACE,
    }
    with other_kubelet(cluster, scene.ends, tmp_path / "kubelet.log", short):
        cluster.wait(scene.have_ended, ENDED_WITHIN, "the evictions")
    counts = scene.count()
    assert held() == {"web-ends-0", "web-ends-1"}
    assert counts["ClusterIP"].failed == 0, f"{counts['ClusterIP']}"
    assert counts["ClusterIP"].ok > 200, f"{counts['ClusterIP']}"
