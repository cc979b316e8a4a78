"""An agent that dies at any step of holding a pod's end loses no connection: the kubelet goes on to the sandbox, and
the next agent holds that, whether the pod is deleted or the kubelet ends it by itself."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator

import pytest
from e2elib.cluster import Cluster
from e2elib.load import PORT, Load, server_pod
from e2elib.networks import Networks
from e2elib.objects import service, vxlan

RATE = float(os.environ.get("MULTINET_RATE", "75"))
GRACE = 20


@pytest.fixture
def stage(deployed: Cluster, networks: Networks) -> Iterator[str]:
    networks.add_ready(vxlan("stage", "10.66.0.0/24"))
    yield "stage"


def delete(cluster: Cluster, namespace: str) -> Callable[[], bool]:
    """By the API; whether it is over."""
    cluster.delete("pod", "web-goes", namespace, "--wait=false")
    return lambda: not cluster.exists("pod", "web-goes", namespace)


def run_out_of_time(cluster: Cluster, namespace: str) -> Callable[[], bool]:
    """By the kubelet alone; whether it is over."""
    soon = json.dumps({"spec": {"activeDeadlineSeconds": 1}})
    cluster.kubectl("patch", "pod", "web-goes", "-n", namespace, "-p", soon)
    return lambda: cluster.json("pod", "web-goes", namespace)["status"]["phase"] == "Failed"


@pytest.mark.parametrize("step", ["drain.hold", "drain.go"])
@pytest.mark.parametrize("end", [delete, run_out_of_time])
def test_no_connection_is_lost_with_the_agent(
    deployed: Cluster,
    stage: str,
    namespace: str,
    end: Callable[[Cluster, str], Callable[[], bool]],
    step: str,
) -> None:
    cluster = deployed
    here, other = cluster.nodes[:2]
    for name, node in (("web-stays", here), ("web-stays-too", other), ("web-goes", other)):
        cluster.apply(server_pod(name, namespace, stage, GRACE, node))
    ports = [{"name": "http", "port": 80, "targetPort": PORT}]
    cluster.apply(service("web", namespace, stage, clusterIP=None, ports=ports))
    load = Load(cluster, namespace, stage, here)

    def available() -> bool:
        status = cluster.json("podnetworkservice", "web", namespace)["status"]
        return bool(status["endpoints"]["ready"] == 3)

    for name in ("web-stays", "web-stays-too", "web-goes"):
        cluster.wait_pod_ready(name, namespace)
    cluster.wait(available, 20, "three endpoints")
    mark = cluster.arm_agent(other, f"{step}=kill")
    vip = cluster.json("service", "web", namespace)["spec"]["clusterIP"]
    load.start({"ClusterIP": (vip, 80)}, RATE)
    time.sleep(1)
    is_over = end(cluster, namespace)
    cluster.wait(is_over, 90, "the end of the pod")
    time.sleep(1)
    count = load.stop()["ClusterIP"]
    told = cluster.log(other, "agent")[mark:]
    assert f"failpoint {step}: kill" in told, "the agent never came to that step"
    (held,) = re.findall(r"web-goes heldMs=(\d+)", told)[-1:] or ["0"]
    print(f"{step}, {end.__name__}: {count}, held {held} ms")
    assert count.failed == 0, str(count)
    assert count.ok > 200, str(count)
