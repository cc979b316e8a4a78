"""Services on a network behind an Ingress controller and Gateway of somebody else's: an unmodified Traefik with
its pods on the network, by the manifests that docs/services.md shows. A rolling update loses no request; the
same pods on eth0 alone, behind the same Traefik, beside it for comparison.

MULTINET_ROLLOUTS=N is how many rolling updates are seen [1], MULTINET_RATE the rate of requests by each way
[25 a second]."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2elib import places, traefik
from e2elib.cluster import REPOSITORY, Cluster
from e2elib.load import Count
from e2elib.objects import interface_sets, wait_ready
from e2elib.pods import REQUEST

EXAMPLES = REPOSITORY / "docs" / "examples"
NETWORK = REPOSITORY / "crds" / "examples" / "blue.yaml"
ROLLOUTS = int(os.environ.get("MULTINET_ROLLOUTS", "1"))
RATE = float(os.environ.get("MULTINET_RATE", "25"))
REPLICAS = 4
SYSTEM, TEAM = "traefik", "shop"  # the examples' namespaces
# How each example is asked: kind, Traefik's port, host.
WAYS = {
    "Ingress": ("http", 80, "ingress.example.com"),
    "HTTPRoute": ("http", 80, "gateway.example.com"),
    "GRPCRoute": ("grpc", 80, "grpc.example.com"),
    "TCPRoute": ("tcp", 9000, ""),
    "nativeLB": ("http", 80, "vip.example.com"),
}
PLAIN = ("http", 80, "plain.example.com")


def backends(name: str, networks: str | None) -> str:
    """Pods that answer, end at SIGTERM at once, and have no preStop hook."""
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app": name}},
    }
    container = {
        "name": "main",
        "image": traefik.ECHO_IMAGE,
        "imagePullPolicy": "Never",
        "readinessProbe": {"httpGet": {"port": 8080}, "periodSeconds": 1},
    }
    template = {
        "metadata": {
            "labels": {"app": name},
            "annotations": {} if networks is None else {REQUEST: networks},
        },
        "spec": {"containers": [container], "topologySpreadConstraints": [spread]},
    }
    spec = {
        "replicas": REPLICAS,
        "selector": {"matchLabels": {"app": name}},
        "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": template,
    }
    metadata = {"name": name, "namespace": TEAM}
    return json.dumps(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
    )


def plain_route() -> str:
    """A Service of core's with endpoints on eth0, and an Ingress to it."""
    metadata = {"name": "plain", "namespace": TEAM}
    port = {"name": "http", "port": 80, "targetPort": 8080}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"selector": {"app": "plain"}, "ports": [port]},
    }
    backend = {"service": {"name": "plain", "port": {"name": "http"}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata,
        "spec": {
            "ingressClassName": "traefik",
            "rules": [{"host": PLAIN[2], "http": {"paths": [path]}}],
        },
    }
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [service, ingress]})


@dataclass(frozen=True)
class Front:
    """Traefik and what it leads to; questions are asked from a node, as somebody outside would."""

    cluster: Cluster
    program: Path
    node: str

    def address(self, port: int) -> str:
        service = self.cluster.json("service", "traefik", SYSTEM)
        return f"{service['spec']['clusterIP']}:{port}"

    def ask(self, way: tuple[str, int, str]) -> tuple[str, str]:
        """Which pod answered, and by which address it was asked."""
        kind, port, host = way
        words = [kind, self.address(port), host]
        said = self.cluster.node_exec(self.node, str(self.program), "ask", *words)
        pod, caller = said.split()
        return pod, caller

    def pods(self, namespace: str, app: str) -> dict[str, dict[str, Any]]:
        """Those that live, by name."""
        return {
            one["metadata"]["name"]: one
            for one in self.cluster.items("pods", namespace)
            if one["metadata"]["labels"].get("app") == app
            and "deletionTimestamp" not in one["metadata"]
        }

    def on_blue(self, namespace: str, app: str) -> set[str]:
        """The addresses that the pods have on the network."""
        live = self.pods(namespace, app)
        return {
            str(ip["address"]).split("/")[0]
            for name, one in interface_sets(self.cluster, namespace).items()
            if name in live
            for entry in one["interfaces"]
            for ip in entry["ips"]
        }

    def packets(self) -> int:
        """What Traefik's pods sent over the network."""
        sent = 0
        for name, one in self.pods(SYSTEM, "traefik").items():
            place = places.pod_place(self.cluster, one["spec"]["nodeName"], SYSTEM, name)
            (link,) = json.loads(place.ip("-j", "-s", "link", "show", "dev", "net1"))
            sent += int(link["stats64"]["tx"]["packets"])
        return sent

    def rolled_out(self, *names: str) -> None:
        for name in names:
            status = ("rollout", "status", f"deployment/{name}", "-n", TEAM, "--timeout=55s")
            self.cluster.kubectl(*status)


@pytest.fixture(scope="module")
def front(deployed: Cluster) -> Iterator[Front]:
    cluster = deployed
    cluster.load_images(traefik.archives())
    kinds = str(traefik.gateway_kinds())
    # Networks stay as long as pods use them: the namespaces go first.
    manifests = (NETWORK, EXAMPLES / "routes.yaml", EXAMPLES / "traefik.yaml")
    cluster.kubectl("apply", "--server-side", "-k", kinds)

    def applied(manifest: Path) -> str:
        # The API server serves new kinds a little later.
        return cluster.kubectl("apply", "-f", str(manifest))

    try:
        for manifest in manifests:
            cluster.wait(lambda manifest=manifest: applied(manifest), 30, f"{manifest.name}")
        wait_ready(cluster, "blue")
        for manifest in (backends("web", "blue"), backends("plain", None), plain_route()):
            cluster.apply(manifest)
        made = Front(cluster, traefik.echo_program(), cluster.nodes[0])
        made.rolled_out("web", "plain")
        cluster.kubectl("rollout", "status", "deployment/traefik", "-n", SYSTEM, "--timeout=55s")
        yield made
    finally:
        for manifest in reversed(manifests):
            cluster.kubectl("delete", "-f", str(manifest), "--ignore-not-found", "--timeout=55s")
        cluster.kubectl("delete", "-k", kinds, "--ignore-not-found", "--timeout=55s")


def test_each_way_leads_over_the_network(front: Front) -> None:
    cluster = front.cluster
    servers = set(front.pods(TEAM, "web"))
    assert len(servers) == REPLICAS
    callers = front.on_blue(SYSTEM, "traefik")
    behind = front.on_blue(TEAM, "web")
    for service in ("web-blue", "web-blue-vip"):

        def listed(service: str = service) -> bool:
            slices = [
                one
                for one in cluster.items("endpointslices", TEAM)
                if one["metadata"]["labels"]["kubernetes.io/service-name"] == service
            ]
            found = {
                address
                for one in slices
                for endpoint in one["endpoints"] or []
                for address in endpoint["addresses"]
            }
            families = {one["addressType"] for one in slices}
            of_families = {one for one in behind if ("IPv6" if ":" in one else "IPv4") in families}
            assert found == of_families, f"{service}: {sorted(found)}, not {sorted(of_families)}"
            return True

        cluster.wait(listed, 20, f"the slices of {service} to have the pods' addresses on blue")
    for name, way in WAYS.items():
        before = front.packets()
        seen: dict[str, set[str]] = {}

        def reached(way: tuple[str, int, str] = way, seen: dict[str, set[str]] = seen) -> bool:
            for _ in range(REPLICAS):
                pod, caller = front.ask(way)
                seen.setdefault(pod, set()).add(caller)
            # To a ClusterIP Traefik keeps a connection, and with it the pod that the node chose.
            wanted = seen.keys() & servers if way == WAYS["nativeLB"] else servers
            assert seen and seen.keys() == wanted, f"reached {sorted(seen)}, not {sorted(servers)}"
            return True

        cluster.wait(reached, 40, f"the pods to be reached by {name}")
        asked_by = set().union(*seen.values())
        assert asked_by <= callers, f"{name}: asked by {asked_by}, not {callers}"
        assert front.packets() > before, f"{name}: nothing went over net1"
    # On eth0 the same Traefik is somebody else.
    _, caller = front.ask(PLAIN)
    assert caller not in callers


def test_the_gateway_says_that_its_routes_are_good(front: Front) -> None:
    cluster = front.cluster
    kinds = {
        one["kind"].lower()
        for one in yaml.safe_load_all((EXAMPLES / "routes.yaml").read_text())
        if one["kind"].endswith("Route")
    }
    assert kinds == {"httproute", "grpcroute", "tcproute"}
    for kind in kinds:

        def good(kind: str = kind) -> bool:
            (parent,) = cluster.json(kind, "web", TEAM)["status"]["parents"]
            told = {one["type"]: one["status"] for one in parent["conditions"]}
            assert told["Accepted"] == "True" and told["ResolvedRefs"] == "True", parent
            return True

        cluster.wait(good, 20, f"{kind} web to be accepted and its references to be resolved")


def load(front: Front, stop: Path, log: Path) -> Any:
    targets = []
    for name, (kind, port, host) in {**WAYS, "eth0": PLAIN}.items():
        targets.append(f"{name}={kind},{front.address(port)},{host}")
    command = [str(front.program), "load", str(RATE), str(stop), *targets]
    return front.cluster.node_begin(front.node, command, log)


def test_a_rolling_update_loses_no_request(front: Front, tmp_path: Path) -> None:
    cluster = front.cluster
    for way in (*WAYS.values(), PLAIN):
        cluster.wait(lambda way=way: front.ask(way), 40, f"an answer to {way}")
    stop, log = tmp_path / "stop", tmp_path / "counts"
    process = load(front, stop, log)
    try:
        for number in range(ROLLOUTS):
            for name in ("web", "plain"):
                cluster.kubectl("set", "env", f"deployment/{name}", f"ROUND={number}", "-n", TEAM)
            front.rolled_out("web", "plain")
            for replicas in (REPLICAS // 2, REPLICAS):
                for name in ("web", "plain"):
                    scale = ("scale", f"deployment/{name}", f"--replicas={replicas}", "-n", TEAM)
                    cluster.kubectl(*scale)
                front.rolled_out("web", "plain")
            cluster.wait(lambda: ended(front), 60, "the pods of before to end")
    finally:
        stop.touch()
        process.wait(20)
    assert process.returncode == 0, log.read_text()
    counts = {name: Count(**one) for name, one in json.loads(log.read_text()).items()}
    for name, count in counts.items():
        print(f"{name}: {count}")
    for name in WAYS:
        assert counts[name].failed == 0, f"{name}: {counts[name]}"
        assert counts[name].ok > 150, f"{name}: {counts[name]}"


def ended(front: Front) -> bool:
    """Whether none is left that is on its way out."""
    every = front.cluster.items("pods", TEAM)
    return not [one for one in every if "deletionTimestamp" in one["metadata"]]
