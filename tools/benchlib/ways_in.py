"""S3, S10: how soon a slice tells of a deletion, and what it takes to come in by a node's port, each
beside what Kubernetes does for the same pods on eth0."""

from __future__ import annotations

import base64
import json
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchlib.cluster import BenchCluster
from benchlib.program import samples_of
from benchlib.rows import Comparison, Row
from benchlib.stats import estimate, exactly, factor, percentile
from clusterlib.errors import ClusterError

PROXY = "kube-proxy's NodePort"
_CORE = "core's slice of the same pods"
_CONNECT_AT_MOST = 1.6
_SLICE_MS = 50
_MEBIBYTES = 32
_PORT, _HOST_PORT = 8080, 8081
_NODE_PORT, _PROXY_PORT = 30180, 30181
_DELETIONS = 20
_CLIENT = Path(__file__).resolve().parent / "ways_in_client.py"
_LABELS = {"app": "bench-way"}
_SERVE = """
import socket, sys
data = bytes(1 << 20)
with socket.create_server(("", int(sys.argv[1])), backlog=512) as server:
    while True:
        client, _ = server.accept()
        with client:
            try:
                for _ in range(int(sys.argv[2]) if client.recv(1) else 0):
                    client.sendall(data)
            except OSError:
                pass
"""
Samples = Mapping[tuple[str, str], Sequence[float]]


def measure(cluster: BenchCluster, rounds: int, seconds: int) -> list[Row]:
    """Each round takes each way once, in another order."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    _deploy(cluster)
    node = json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"][0]
    (address, *_) = (
        one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP"
    )
    ways = {"direct": _HOST_PORT, "kube-proxy": _PROXY_PORT, "gateway": _NODE_PORT}
    told = {"address": address, "ways": ways, "rounds": rounds, "seconds": seconds}
    told |= {"bytes": _MEBIBYTES << 20}
    client = ["python3", "-c", _CLIENT.read_text(), "connect", json.dumps(told)]
    for sample in samples_of(cluster.outside(client), "", seconds + 120):
        found[sample["what"], sample["case"]].append(sample["value"])
    with tempfile.TemporaryDirectory(prefix="multinet-bench-") as directory:
        told = _credentials(cluster, Path(directory)) | {"deletions": _DELETIONS}
        command = ["python3", str(_CLIENT), "delete", json.dumps(told)]
        for sample in samples_of(command, "", 180):
            found[sample["what"], sample["case"]].append(sample["value"])
    return rows_of(found)


def rows_of(found: Samples) -> list[Row]:
    """All of it; what has no round is an error."""
    try:
        return [*_slices(found), *_ways(found)]
    except KeyError as error:
        raise ClusterError(f"measure ways in: nothing was measured of {error}") from None


def _slices(found: Samples) -> list[Row]:
    ours, core = found["slice", "multinet"], found["slice", "core"]
    p99 = exactly(percentile(ours, 0.99))
    compared = [
        Comparison("", "ms", p99, _SLICE_MS),
        Comparison(_CORE, "x", factor(ours, core)),
    ]
    return [
        Row("S3", "from the call that deletes a pod to its slice, one at a time", ours, compared),
        Row("S3", f"  {_CORE}", core),
    ]


def _ways(found: Samples) -> list[Row]:
    rows = []
    for what, text, unit, at_most in (
        ("connect", "connect from another machine", "us", _CONNECT_AT_MOST),
        ("stream", f"{_MEBIBYTES} MiB from there", "ms", None),
    ):
        direct, proxy = found[what, "direct"], found[what, "kube-proxy"]
        gateway = found[what, "gateway"]
        to = "a process of the node"
        rows += [
            Row("S10", f"{text} to {to}", direct, unit=unit),
            Row(
                "S10",
                f"{text} by a NodePort of a service on a network",
                gateway,
                [
                    Comparison(to, "x", factor(gateway, direct), at_most),
                    Comparison(PROXY, "x", factor(gateway, proxy)),
                ],
                unit=unit,
            ),
            Row(
                "S10",
                f"{text} by {PROXY}",
                proxy,
                [Comparison(to, "x", factor(proxy, direct))],
                unit=unit,
            ),
        ]
    return rows


def _pod(name: str, labels: dict[str, str], script: str, **spec: Any) -> dict[str, Any]:
    container = {
        "name": "main",
        "image": "multinet.dev/busybox:dev",
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", script],
    }
    metadata = {"name": name, "namespace": "default", "labels": labels}
    if not spec.get("hostNetwork"):
        metadata["annotations"] = {"multinet.dev/networks": "blue"}  # type: ignore[assignment]
    body = {"containers": [container], "terminationGracePeriodSeconds": 1} | spec
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": body}


def _server(name: str, labels: dict[str, str], port: int, **spec: Any) -> dict[str, Any]:
    """Runs the node's own Python: the image has no program with a backlog."""
    hosts = {
        "usr": ("/usr", "/usr"),
        "lib": ("/usr/lib", "/lib"),
        "lib64": ("/usr/lib64", "/lib64"),
    }
    mounts = [
        {"name": one, "mountPath": inside, "readOnly": True} for one, (_, inside) in hosts.items()
    ]
    volumes = [{"name": one, "hostPath": {"path": path}} for one, (path, _) in hosts.items()]
    made = _pod(name, labels, "", volumes=volumes, **spec)
    (container,) = made["spec"]["containers"]
    container["command"] = ["/usr/bin/python3", "-c", _SERVE, str(port), str(_MEBIBYTES)]
    container["volumeMounts"] = mounts
    return made


def _deploy(cluster: BenchCluster) -> None:
    """One server behind a NodePort of each kind, and pods that are to be deleted behind others."""

    going = {"app": "bench-goes"}
    idle = "trap 'exit 0' TERM; sleep 100000 & wait"
    objects = [
        _server("bench-way", _LABELS, _PORT),
        _server("bench-host", {}, _HOST_PORT, hostNetwork=True),
        *(_pod(f"bench-goes-{number}", going, idle) for number in range(_DELETIONS)),
    ]
    for name, selector, port in (
        ("bench-way", _LABELS, _NODE_PORT),
        ("bench-goes", going, 0),
    ):
        more = {"type": "NodePort"} if port else {"clusterIP": "None"}
        one = {"name": "http", "port": 80, "targetPort": _PORT}
        ours, cores = (
            one | ({"nodePort": number} if port else {}) for number in (_NODE_PORT, _PROXY_PORT)
        )
        objects += [
            {
                "apiVersion": "multinet.dev/v1alpha1",
                "kind": "PodNetworkService",
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"podNetworkName": "blue", "selector": selector, "ports": [ours]} | more,
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": f"{name}-core", "namespace": "default"},
                "spec": {"selector": selector, "ports": [cores]} | more,
            },
        ]
    cluster.apply(objects)
    names = [one["metadata"]["name"] for one in objects if one["kind"] == "Pod"]
    ready = ("--for=condition=Ready", "--timeout=120s")
    cluster.kubectl("wait", *ready, *(f"pod/{name}" for name in names), timeout=130)


def _credentials(cluster: BenchCluster, directory: Path) -> dict[str, Any]:
    """What the client speaks to the API server with, as files."""
    view = ("config", "view", "--raw", "-o", "json")
    seen = json.loads(cluster.kubectl(*view))
    (server,), (user,) = seen["clusters"], seen["users"]
    told: dict[str, Any] = {"server": server["cluster"]["server"]}
    for key, where in (
        ("certificate-authority-data", server["cluster"]),
        ("client-certificate-data", user["user"]),
        ("client-key-data", user["user"]),
    ):
        path = directory / key
        path.write_bytes(base64.b64decode(where[key]))
        told[key] = str(path)
    return told
