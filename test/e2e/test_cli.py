"""kubectl multinet against a real API server: what people ask, with the rights that they have."""

from __future__ import annotations

import json
import xml.etree.ElementTree as xml
from pathlib import Path

from e2elib.cluster import Cluster, run_try
from e2elib.objects import address, interface, vxlan, wait_served
from e2elib.pods import pod

NETWORK = "cli-blue"


def ask(cluster: Cluster, programs: Path, *words: str, stdin: str = "") -> tuple[int, str, str]:
    who = [f"--kubeconfig={cluster.kubeconfig}"]
    return run_try([str(programs / "kubectl-multinet"), *words, *who], stdin)


def told(cluster: Cluster, programs: Path, *words: str) -> str:
    code, out, err = ask(cluster, programs, *words)
    assert code == 0, f"{words}: {err}"
    return out


def test_people_find_what_they_look_for(deployed: Cluster, programs: Path, namespace: str) -> None:
    deployed.apply(vxlan(NETWORK, "10.51.0.0/16"))
    wait_served(deployed, NETWORK)
    node = deployed.nodes[0]
    deployed.apply(pod("web", namespace, node=node, networks=NETWORK, labels={"app": "web"}))
    deployed.wait_pod_ready("web", namespace, 60)
    held = address(interface(deployed, namespace, "web", "net1"))

    assert (
        told(deployed, programs, "networks", NETWORK, "-o", "name")
        == f"podnetwork.multinet.dev/{NETWORK}\n"
    )
    assert (
        json.loads(told(deployed, programs, "networks", NETWORK, "-o", "json"))["kind"]
        == "PodNetwork"
    )
    where = "jsonpath={.items[*].interfaces[*].ips[0].address}"
    assert held in told(deployed, programs, "pods", "-n", namespace, "-l", "app=web", "-o", where)
    assert "web" not in told(
        deployed, programs, "pods", "-n", namespace, "-l", "app=db", "-o", "name"
    )
    assert NETWORK in told(deployed, programs, "nodes", node)
    assert f"pod {namespace}/web holds it" in told(deployed, programs, "ipam", held)
    assert node in told(deployed, programs, "ipam", "--blocks", "--network", NETWORK)
    steps = told(deployed, programs, "trace", "web", "-n", namespace)
    for step in (
        "net1 resolved",
        "Scheduled",
        "net1 attached",
        "multinet.dev/networks-ready=True",
        "now",
    ):
        assert step in steps, steps
    assert f"{namespace}/web" in told(deployed, programs, "topology", "--network", NETWORK)
    assert xml.fromstring(told(deployed, programs, "topology", "-o", "svg")).tag.endswith("svg")
    complete = ["__complete", f"--kubeconfig={deployed.kubeconfig}", "networks", "cli-"]
    assert NETWORK in run_try([str(programs / "kubectl-multinet"), *complete])[1]
    code, _, err = ask(deployed, programs, "networks", "cli-bleu")
    assert code == 2
    assert f'did you mean "{NETWORK}"?' in err


def test_a_developer_of_a_namespace_is_told_what_a_pod_would_get(
    deployed: Cluster, programs: Path, namespace: str
) -> None:
    deployed.kubectl(
        "create", "rolebinding", "dev", "-n", namespace, "--clusterrole=edit", "--user=dev"
    )
    good = json.dumps(json.loads(pod("good", namespace, networks=NETWORK)))
    code, out, err = ask(deployed, programs, "explain", "--as", "dev", "-f", "-", stdin=good)
    assert code == 0, out + err
    assert f"net1 on network {NETWORK}" in out
    bad = pod("bad", namespace, networks="cli-none")
    code, out, err = ask(deployed, programs, "explain", "--as", "dev", "-f", "-", stdin=bad)
    assert code == 1, out + err
    assert "would be refused" in out
    assert "cli-none" in out
    code, out, err = ask(deployed, programs, "explain", "-f", "-", stdin=good)
    assert code == 0, out + err
    assert "(VXLAN)" in out, "who may read networks is told more"
    code, _, err = ask(deployed, programs, "networks", "--as", "dev")
    assert code == 2
    assert "forbidden" in err
    assert deployed.items("pods", namespace) == []


def test_a_drain_ends_pods_with_networks_and_no_other(
    deployed: Cluster, programs: Path, namespace: str
) -> None:
    node = deployed.nodes[0]
    deployed.apply(pod("plain", namespace, node=node))
    deployed.apply(pod("asks", namespace, node=node, networks=NETWORK))
    for name in ("plain", "asks"):
        deployed.wait_pod_ready(name, namespace, 60)
    assert f"{namespace}/asks" in told(deployed, programs, "drain", node, "--dry-run")
    try:
        out = told(deployed, programs, "drain", node)
        assert f"evicting pod {namespace}/asks" in out
        assert [one["metadata"]["name"] for one in deployed.items("pods", namespace)] == ["plain"]
    finally:
        deployed.kubectl("uncordon", node)
