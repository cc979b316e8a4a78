"""Connections from one pod to several services, counted while the pods that serve come and go."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from e2elib.cluster import Cluster
from e2elib.pods import IMAGE, REQUEST, pod

# Both are Python, the node's own: the image has no program that is quick enough.
_HOSTS = {"usr": ("/usr", "/usr"), "lib": ("/usr/lib", "/lib"), "lib64": ("/usr/lib64", "/lib64")}
_PYTHON = "/usr/bin/python3"
PORT = 8080

# Ends at SIGTERM at once, whatever it is doing.
_SERVE = f"""
import os, signal, socket
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
every = {{"family": socket.AF_INET6, "dualstack_ipv6": True}}
with socket.create_server(("::", {PORT}), backlog=512, **every) as server:
    while True:
        client, _ = server.accept()
        with client:
            client.settimeout(2)
            try:
                if client.recv(16):
                    client.sendall(b"ok")
            except OSError:
                pass
"""

# A connection is one name that is asked for, one connect, one question, one answer. Each target has
# its own threads; a slow answer delays that thread alone.
_ASK = """
import json, os, socket, threading, time
while not os.path.exists("/tmp/targets"):
    time.sleep(0.05)
time.sleep(0.05)
told = json.load(open("/tmp/targets"))
THREADS = 4
counts = {name: {"ok": 0, "failed": 0, "why": {}} for name in told["targets"]}
lock = threading.Lock()

def once(host, port, family="AF_INET"):
    try:
        family = getattr(socket, family)
        (_, _, _, _, there), *_ = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
        with socket.create_connection(there[:2], timeout=3) as client:
            client.sendall(b"?")
            return "" if client.recv(16) == b"ok" else "closed"
    except OSError as error:
        return type(error).__name__

def ask(name, where, first):
    step = THREADS / told["rate"]
    due = time.monotonic() + first * step / THREADS
    while not os.path.exists("/tmp/stop"):
        time.sleep(max(0, due - time.monotonic()))
        due = max(due + step, time.monotonic() - 1)
        why = once(*where)
        with lock:
            mine = counts[name]
            if why:
                mine["failed"] += 1
                at = why + " " + str(int(time.monotonic() - begin))
                mine["why"][at] = mine["why"].get(at, 0) + 1
            else:
                mine["ok"] += 1

begin = time.monotonic()
threads = [
    threading.Thread(target=ask, args=(name, where, first))
    for name, where in told["targets"].items()
    for first in range(THREADS)
]
for one in threads:
    one.start()
for one in threads:
    one.join()
with open("/tmp/counted.part", "w") as out:
    json.dump(counts, out)
os.rename("/tmp/counted.part", "/tmp/counted")
time.sleep(1000000)
"""


@dataclass(frozen=True)
class Count:
    ok: int
    failed: int
    why: dict[str, int]

    @property
    def all(self) -> int:
        return self.ok + self.failed

    def __str__(self) -> str:
        return f"{self.failed} of {self.all} failed" + (f" {self.why}" if self.why else "")


def _with_python(spec: dict[str, object], script: str) -> dict[str, object]:
    (container,) = spec["containers"]  # type: ignore[misc]
    container["command"] = [_PYTHON, "-c", script]
    container["volumeMounts"] = [
        {"name": name, "mountPath": inside, "readOnly": True}
        for name, (_, inside) in _HOSTS.items()
    ]
    spec["volumes"] = [
        {"name": name, "hostPath": {"path": outside}} for name, (outside, _) in _HOSTS.items()
    ]
    return spec


def servers(name: str, namespace: str, networks: str | None, replicas: int, grace: int) -> str:
    """A Deployment whose pods answer at PORT and end at SIGTERM at once, without a preStop hook."""
    annotations = {} if networks is None else {REQUEST: networks}
    container = {
        "name": "main",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
    }
    spec: dict[str, object] = {"terminationGracePeriodSeconds": grace, "containers": [container]}
    labels = {"app": name}
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels},
    }
    spec["topologySpreadConstraints"] = [spread]
    template = {
        "metadata": {"labels": labels, "annotations": annotations},
        "spec": _with_python(spec, _SERVE),
    }
    return json.dumps(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                "template": template,
            },
        }
    )


def server_pod(
    name: str, namespace: str, networks: str | None, grace: int, node: str, **spec: Any
) -> str:
    """A pod as servers() has them, with app: NAME up to its first dash; without an owner."""
    app = name.split("-")[0]
    template = json.loads(servers(app, namespace, networks, 1, grace))["spec"]["template"]
    template["spec"].pop("topologySpreadConstraints")
    template["spec"] |= {"nodeSelector": {"kubernetes.io/hostname": node}} | spec
    metadata = template["metadata"] | {"name": name, "namespace": namespace}
    one = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    return json.dumps(one)


class Load:
    """One pod that connects to each target, `rate` times a second each, from start() to stop(). A target
    is host and port, and for IPv6 the word AF_INET6."""

    def __init__(self, cluster: Cluster, namespace: str, networks: str, node: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        made = json.loads(pod("load", namespace, networks=networks, node=node))
        _with_python(made["spec"], _ASK)
        cluster.apply(json.dumps(made))
        cluster.wait_pod_ready("load", namespace)

    def start(
        self, targets: Mapping[str, tuple[str, int] | tuple[str, int, str]], rate: float
    ) -> None:
        told = json.dumps({"targets": targets, "rate": rate})
        self._run(f"echo '{told}' >/tmp/targets.part; mv /tmp/targets.part /tmp/targets")

    def stop(self) -> dict[str, Count]:
        self._run("touch /tmp/stop")

        def counted() -> dict[str, Count]:
            told = json.loads(self._run("cat /tmp/counted"))
            return {name: Count(**one) for name, one in told.items()}

        return self.cluster.wait(counted, 20, "the count of connections")

    def _run(self, script: str) -> str:
        return self.cluster.pod_run(self.namespace, "load", "sh", "-c", script)
