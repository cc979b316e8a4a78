"""S3, S10: how soon a slice tells of a deletion and every node acts on it, and what it takes to come in by a node's
port, each beside what Kubernetes does for the same pods on eth0."""

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
from benchlib.stats import exactly, factor, percentile
from clusterlib.errors import ClusterError

PROXY = "kube-proxy's NodePort"
_CORE = "core's slice of the same pods"
_CONNECT_AT_MOST = 1.6
_SLICE_MS, _NODE_MS = 50, 250
_OF_PROXY = 1 / 2
_MEBIBYTES = 32
_PORT, _HOST_PORT = 8080, 8081
_NODE_PORT, _PROXY_PORT = 30180, 30181
_DELETIONS = 16  # in each phase
_CHURNING, _CHANGES = (
    10,
    100,
)  # pods that come and go in another service, and how many of that a second
PHASES = {"idle": "", "busy": f", at {_CHANGES} changes a second"}
_CLIENT = Path(__file__).resolve().parent / "ways_in_client.py"
_LABELS = {"app": "bench-way"}
# A question of one byte: `=` has each byte back until the client goes, any other the file.
_SERVE = """
import socket, sys
data = bytes(1 << 20)
with socket.create_server(("", int(sys.argv[1])), backlog=512) as server:
    while True:
        client, _ = server.accept()
        with client:
            try:
                asked = client.recv(1)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while asked == b"=" and (got := client.recv(16)):
                    client.sendall(got)
                for _ in range(int(sys.argv[2]) if asked == b"?" else 0):
                    client.sendall(data)
            except OSError:
                pass
"""
# Says its name and hears no SIGTERM: whoever is sent to it is answered to its very end.
_NAME = """
import os, signal, socket, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with socket.create_server(("", int(sys.argv[1])), backlog=512) as server:
    while True:
        client, _ = server.accept()
        with client:
            try:
                client.sendall(os.uname().nodename.encode())
            except OSError:
                pass
"""
# Connects to each address all the time, and keeps when it last began a connection that each server answered.
_PROBE = """
import json, os, socket, sys, threading, time
targets = json.loads(sys.argv[1])
last = {case: {} for case in targets}
def ask(case, where):
    while True:
        begin = time.monotonic()
        try:
            with socket.create_connection(where, timeout=2) as one:
                last[case][one.recv(64).decode()] = begin
        except OSError:
            pass
        time.sleep(max(0, begin + float(sys.argv[2]) - time.monotonic()))
for case, where in targets.items():
    threading.Thread(target=ask, args=(case, tuple(where)), daemon=True).start()
while True:
    time.sleep(0.2)
    with open("/tmp/last.part", "w") as out:
        json.dump({case: dict(names) for case, names in last.items()}, out)
    os.rename("/tmp/last.part", "/tmp/last")
"""
_PROBE_SECONDS = 0.004
Samples = Mapping[tuple[str, str], Sequence[float]]


def measure(cluster: BenchCluster, rounds: int, seconds: int) -> list[Row]:
    """Each round takes each way once, in another order."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    nodes = json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"]
    names = [one["metadata"]["name"] for one in nodes]
    _deploy(cluster, names)
    here, there = (_address(one) for one in nodes[:2])
    ways = {"direct": (here, _HOST_PORT)}
    for where, address in (("", here), (", other node", there)):
        ways[f"kube-proxy{where}"] = (address, _PROXY_PORT)
        ways[f"gateway{where}"] = (address, _NODE_PORT)
    told: dict[str, Any] = {"ways": ways, "rounds": rounds, "seconds": seconds}
    told |= {"bytes": _MEBIBYTES << 20}
    client = ["python3", "-c", _CLIENT.read_text(), "connect", json.dumps(told)]
    for sample in samples_of(cluster.outside(client), "", seconds + 120):
        found[sample["what"], sample["case"]].append(sample["value"])
    probes = _probes(cluster, names)
    with tempfile.TemporaryDirectory(prefix="multinet-bench-") as directory:
        told = _credentials(cluster, Path(directory)) | {"deletions": _DELETIONS}
        told |= {"phases": list(PHASES), "churning": _CHURNING, "changes": _CHANGES}
        command = ["python3", str(_CLIENT), "delete", json.dumps(told)]
        for sample in samples_of(command, "", 400):
            found[sample["what"], sample["case"]].append(sample["value"])
    last = [json.loads(cluster.kubectl("exec", name, "--", "cat", "/tmp/last")) for name in probes]
    found |= acted(found, last)
    return rows_of(dict(found))


def acted(found: Samples, last: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[Any, Any]:
    """From each deletion to the last connection that any node's pods made to that pod, in ms. `last`: by case and pod
    when each node's client last began one; a pod that a client never saw is an error."""
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    for (what, name), values in found.items():
        if not what.startswith("deleted "):
            continue
        phase = what.removeprefix("deleted ")
        (begin,) = values
        for case in ("multinet", "core"):
            ends = [one[case][name] for one in last if name in one[case]]
            if len(ends) < len(last):
                raise ClusterError(f"measure ways in: a client was never at {name} by {case}")
            times[f"node {phase}", case].append(max(0.0, max(ends) - begin) * 1e3)
    return dict(times)


def rows_of(found: Samples) -> list[Row]:
    """All of it; what has no round is an error."""
    try:
        rows = []
        for phase, text in PHASES.items():
            rows += _slices(found, phase, text) + _nodes(found, phase, text)
        return rows + _ways(found)
    except KeyError as error:
        raise ClusterError(f"measure ways in: nothing was measured of {error}") from None


def _slices(found: Samples, phase: str, text: str) -> list[Row]:
    ours, core = found[f"slice {phase}", "multinet"], found[f"slice {phase}", "core"]
    compared = [
        Comparison("", "ms", exactly(percentile(ours, 0.99)), _SLICE_MS),
        Comparison(_CORE, "x", factor(ours, core)),
    ]
    return [
        Row("S3", f"from the call that deletes a pod to its slice{text}", ours, compared),
        Row("S3", f"  {_CORE}{text}", core),
    ]


def _nodes(found: Samples, phase: str, text: str) -> list[Row]:
    """Where a node acted before anybody connected again nothing is left to be seen: no ratio is of single deletions."""
    ours, core = found[f"node {phase}", "multinet"], found[f"node {phase}", "core"]
    high, other = percentile(ours, 0.99), percentile(core, 0.99)
    compared = [
        Comparison("", "ms", exactly(high), _NODE_MS),
        Comparison("kube-proxy, P99", "x", exactly(high / max(other, 1.0)), _OF_PROXY),
    ]
    return [
        Row("S3", f"  to the last connection to it from any node{text}", ours, compared),
        Row("S3", f"  the same by kube-proxy{text}", core),
    ]


def _ways(found: Samples) -> list[Row]:
    rows = []
    to = "a process of the node"
    for what, text, unit, at_most in (
        ("connect", "connect from another machine", "us", _CONNECT_AT_MOST),
        ("rtt", "a byte there and back", "us", None),
        ("stream", f"{_MEBIBYTES} MiB from there", "ms", None),
    ):
        direct = found[what, "direct"]
        rows.append(Row("S10", f"{text} to {to}", direct, unit=unit))
        for where, bar in (("", at_most), (", other node", None)):
            proxy, gateway = found[what, f"kube-proxy{where}"], found[what, f"gateway{where}"]
            compared = [
                Comparison(to, "x", factor(gateway, direct), bar),
                Comparison(PROXY, "x", factor(gateway, proxy)),
            ]
            name = f"{text} by a NodePort of a service on a network{where}"
            rows.append(Row("S10", name, gateway, compared, unit=unit))
            beside = [Comparison(to, "x", factor(proxy, direct))]
            rows.append(Row("S10", f"{text} by {PROXY}{where}", proxy, beside, unit=unit))
    return rows


def _address(node: Mapping[str, Any]) -> str:
    (address, *_) = (
        one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP"
    )
    return str(address)


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


def _python(
    name: str, labels: dict[str, str], script: str, arguments: Sequence[str], **spec: Any
) -> dict[str, Any]:
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
    container["command"] = ["/usr/bin/python3", "-c", script, *arguments]
    container["volumeMounts"] = mounts
    return made


def _server(name: str, labels: dict[str, str], port: int, node: str, **spec: Any) -> dict[str, Any]:
    return _python(name, labels, _SERVE, [str(port), str(_MEBIBYTES)], nodeName=node, **spec)


def _services(name: str, port: int) -> list[dict[str, Any]]:
    """Ours and core's, of the pods with app: NAME; NodePorts where `port` says so."""
    more = {"type": "NodePort"} if port else {}
    one = {"name": "http", "port": 80, "targetPort": _PORT}
    ours, cores = (
        one | ({"nodePort": number} if port else {}) for number in (_NODE_PORT, _PROXY_PORT)
    )
    selector = {"app": name}
    return [
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


def _deploy(cluster: BenchCluster, nodes: Sequence[str]) -> None:
    """One server behind a NodePort of each kind; pods that are to be deleted, each put behind its services when its
    turn comes, beside one that stays; pods that come and go behind others."""
    here = nodes[0]
    going = [f"bench-goes-{phase}-{number}" for phase in PHASES for number in range(_DELETIONS)]
    name = [str(_PORT)]
    lasting = {"terminationGracePeriodSeconds": 12}
    idle = "trap 'exit 0' TERM; sleep 100000 & wait"
    objects = [
        _server("bench-way", _LABELS, _PORT, here),
        _server("bench-host", {}, _HOST_PORT, here, hostNetwork=True),
        _python("bench-stays", {"app": "bench-goes"}, _NAME, name),
        *(_python(one, {"app": "none"}, _NAME, name, **lasting) for one in going),
        *(_pod(f"bench-churn-{number}", {"app": "none"}, idle) for number in range(_CHURNING)),
        *_services("bench-way", _NODE_PORT),
        *_services("bench-goes", 0),
        *_services("bench-churn", 0),
    ]
    cluster.apply(objects)
    names = [one["metadata"]["name"] for one in objects if one["kind"] == "Pod"]
    ready = ("--for=condition=Ready", "--timeout=180s")
    cluster.kubectl("wait", *ready, *(f"pod/{name}" for name in names), timeout=190)


def _probes(cluster: BenchCluster, nodes: Sequence[str]) -> list[str]:
    """A client on each node; their pods' names."""

    def address(name: str) -> str:
        which = ("get", "service", name, "-o", "jsonpath={.spec.clusterIP}")
        return cluster.kubectl(*which).strip()

    targets = {
        "multinet": (address("bench-goes"), 80),
        "core": (address("bench-goes-core"), 80),
    }
    told = [json.dumps(targets), str(_PROBE_SECONDS)]
    pods = [
        _python(f"bench-probe-{number}", {}, _PROBE, told, nodeName=node)
        for number, node in enumerate(nodes)
    ]
    cluster.apply(pods)
    names = [str(one["metadata"]["name"]) for one in pods]
    ready = ("--for=condition=Ready", "--timeout=60s")
    cluster.kubectl("wait", *ready, *(f"pod/{name}" for name in names), timeout=70)
    return names


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
