"""Programs that are stopped by a signal: they hang, and hold their connections open."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from e2elib.cluster import Cluster


@contextmanager
def frozen(cluster: Cluster, machine: str, component: str) -> Iterator[None]:
    """A program of a machine, for the time of the block."""
    with _stopped(cluster, machine, str(cluster.component(machine, component)["pid"])):
        yield


@contextmanager
def frozen_pod(cluster: Cluster, namespace: str, name: str) -> Iterator[None]:
    """The one container of a pod, for the time of the block."""
    node = cluster.json("pod", name, namespace)["spec"]["nodeName"]
    labels = (f"io.kubernetes.pod.namespace={namespace}", f"io.kubernetes.pod.name={name}")
    listed = cluster.node_exec(node, "crictl", "ps", "-q", *(f"--label={one}" for one in labels))
    (container,) = listed.split()
    told = json.loads(cluster.node_exec(node, "crictl", "inspect", container))
    with _stopped(cluster, node, str(told["info"]["pid"])):
        yield


@contextmanager
def _stopped(cluster: Cluster, machine: str, pid: str) -> Iterator[None]:
    cluster.node_exec(machine, "kill", "-STOP", pid)
    try:
        yield
    finally:
        # One that was ended meanwhile needs no signal.
        cluster.node_exec_try(machine, "kill", "-CONT", pid)
