"""The main job: pods on two nodes that ask for networks get them, and talk over them."""

from __future__ import annotations

from pathlib import Path

import pytest
from e2elib.checks import COUNTED_WITHIN, assert_clean
from e2elib.cluster import Cluster

EXAMPLES = Path(__file__).resolve().parents[2] / "crds" / "examples"
WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {app: web}
      annotations: {multinet.dev/networks: "blue, storage"}
    spec:
      terminationGracePeriodSeconds: 1
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule,
         labelSelector: {matchLabels: {app: web}}}
      containers:
      - name: web
        image: multinet.dev/busybox:dev
        imagePullPolicy: Never
        command: [sh, -c, "mkdir /w && hostname > /w/index.html && exec httpd -f -p 8080 -h /w"]
"""


class Web:
    """Two pods on two nodes, each on blue and storage."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.pods = [pod["metadata"]["name"] for pod in cluster.items("pods", namespace)]
        sets = cluster.items("podinterfacesets", namespace)
        self.sets = {entry["pod"]["name"]: entry for entry in sets}

    def interface(self, pod: str, name: str) -> dict:
        (found,) = [one for one in self.sets[pod]["interfaces"] if one["name"] == name]
        return found

    def address(self, pod: str, name: str, family: str) -> str:
        (found,) = [
            ip["address"] for ip in self.interface(pod, name)["ips"] if ip["family"] == family
        ]
        return found.split("/")[0]

    def run(self, pod: str, *command: str) -> str:
        return self.cluster.pod_run(self.namespace, pod, *command)


@pytest.fixture(scope="module")
def web(deployed: Cluster):
    namespace = "web"
    deployed.kubectl("create", "namespace", namespace)
    blue = (EXAMPLES / "blue.yaml").read_text()
    storage = (EXAMPLES / "storage.yaml").read_text()  # open to namespace default only
    networks = (
        blue + "\n---\n" + storage.replace("metadata.name: default", f"metadata.name: {namespace}")
    )
    deployed.apply(networks)
    deployed.kubectl(
        "wait", "--for=condition=Ready", "--timeout=30s", "podnetwork", "blue", "storage"
    )
    deployed.kubectl("apply", "-n", namespace, "-f", "-", stdin=WEB)
    deployed.kubectl("rollout", "status", "-n", namespace, "--timeout=50s", "deployment/web")

    def reported() -> bool:
        return len(deployed.items("podinterfacesets", namespace)) == 2

    deployed.wait(reported, 20, "two PodInterfaceSets")
    yield Web(deployed, namespace)
    deployed.kubectl("delete", "namespace", namespace, "--timeout=50s")
    deployed.kubectl("delete", "--timeout=50s", "-f", "-", stdin=networks)


def test_each_pod_has_what_the_api_tells(web: Web) -> None:
    for pod in web.pods:
        for name, network in (("net1", "blue"), ("net2", "storage")):
            told = web.interface(pod, name)
            assert told["podNetworkName"] == network
            link = web.run(pod, "ip", "-o", "link", "show", name)
            assert told["mac"] in link
            assert f"mtu {told['mtu']} " in link
            for ip in told["ips"]:
                assert ip["address"] in web.run(pod, "ip", "-o", "addr", "show", name)
    nodes = {entry["nodeName"] for entry in web.sets.values()}
    assert len(nodes) == 2


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_pods_reach_each_other_over_blue(web: Web, family: str) -> None:
    one, other = web.pods
    address = web.address(other, "net1", family)
    web.run(one, "ping", "-c", "3", "-w", "10", address)
    header = 28 if family == "IPv4" else 48
    full = web.interface(other, "net1")["mtu"] - header
    assert "0% packet loss" in web.run(one, "ping", "-c", "3", "-w", "10", "-s", str(full), address)
    host = address if family == "IPv4" else f"[{address}]"
    assert other in web.run(one, "wget", "-q", "-O-", f"http://{host}:8080/")


def test_the_clusters_own_network_still_works(web: Web) -> None:
    one, other = web.pods
    address = web.cluster.json("pod", other, web.namespace)["status"]["podIP"]
    assert other in web.run(one, "wget", "-q", "-O-", f"http://{address}:8080/")
    assert "Address" in web.run(one, "nslookup", "kubernetes.default.svc.cluster.local")


def test_a_secondary_address_is_never_a_pod_ip(web: Web) -> None:
    for pod in web.pods:
        ips = {ip["ip"] for ip in web.cluster.json("pod", pod, web.namespace)["status"]["podIPs"]}
        for name in ("net1", "net2"):
            assert not ips & {ip["address"].split("/")[0] for ip in web.interface(pod, name)["ips"]}


def test_what_was_measured_is_told_for_each_node(web: Web) -> None:
    for node in web.cluster.items("nodenetworksets"):
        (blue,) = [one for one in node["status"]["networks"] if one["podNetworkName"] == "blue"]
        assert {check["name"] for check in blue["checks"]} >= {"Link", "Peers"}
        (ready,) = [one for one in blue["conditions"] if one["type"] == "Ready"]
        assert ready["status"] == "True", ready


def test_the_networks_count_their_pods(web: Web) -> None:
    def counted() -> bool:
        status = web.cluster.json("podnetwork", "blue")["status"]
        return status["attachedPods"] == 2 and status["nodes"] == {"desired": 2, "ready": 2}

    web.cluster.wait(counted, COUNTED_WITHIN, "blue to count two pods and two nodes")


def test_nothing_leaked_and_nothing_is_double(web: Web) -> None:
    assert_clean(web.cluster)
