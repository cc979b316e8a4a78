"""What the webhook writes and refuses, as the person at kubectl sees it."""

from __future__ import annotations

import json

import pytest
from e2elib.cluster import Cluster, condition
from e2elib.pods import REQUEST, pod

CONFIGURATION = "multinet-validate"
SYSTEM = "multinet-system"
RESOLVED = "multinet.dev/resolved"


def network(name: str, cidr: str, **more: object) -> str:
    spec = {
        "type": "Bridge",
        "bridge": {"mode": "Own"},
        "ipam": {"subnets": [{"cidr": cidr}]},
        "access": {"namespaces": {"from": "All"}},
    }
    manifest = {
        "apiVersion": "multinet.dev/v1alpha1",
        "kind": "PodNetwork",
        "metadata": {"name": name},
        "spec": spec | more,
    }
    return json.dumps(manifest)


def try_out(cluster: Cluster, manifest: str) -> tuple[int, str]:
    code, _, err = cluster.kubectl_try("create", "--dry-run=server", "-f", "-", stdin=manifest)
    return code, err


def test_the_controllers_certificate_is_trusted(deployed: Cluster) -> None:
    """Both configurations call the webhook by what the controller wrote into them."""
    for configuration in (
        "mutatingwebhookconfiguration/multinet-mutate",
        f"validatingwebhookconfiguration/{CONFIGURATION}",
    ):
        webhooks = json.loads(deployed.kubectl("get", configuration, "-o", "json"))["webhooks"]
        assert all(webhook["clientConfig"].get("caBundle") for webhook in webhooks)
    code, err = try_out(deployed, network("trusted", "10.77.0.0/16"))
    assert (code, err) == (0, "")


@pytest.mark.parametrize(
    ("request_text", "said"),
    [
        ("nowhere", '"nowhere"'),
        ("attachment/nowhere", '"attachment/nowhere"'),
        ("nowhere, nowhere", "repeats item 1"),
    ],
)
def test_a_bad_request_is_refused_with_its_field(
    deployed: Cluster, request_text: str, said: str
) -> None:
    code, err = try_out(deployed, pod("bad", "default", networks=request_text))
    assert code != 0
    assert f"metadata.annotations[{REQUEST}]" in err
    assert said in err


def test_a_network_that_is_not_ready_is_refused(deployed: Cluster) -> None:
    deployed.apply(network("off", "10.78.0.0/16", enabled=False))
    try:
        deployed.wait(
            lambda: '"off"' in try_out(deployed, pod("bad", "default", networks="off"))[1],
            10,
            "the webhook to know the network",
        )
    finally:
        deployed.delete("podnetwork", "off")


def test_addresses_of_others_are_a_warning(deployed: Cluster) -> None:
    code, err = try_out(deployed, network("public", "8.8.0.0/16"))
    assert code == 0
    assert "Warning: spec.ipam.subnets[0].cidr" in err


def test_ranges_of_the_cluster_are_refused(deployed: Cluster) -> None:
    """Else the interface's route hides DNS and the API server from the pod."""
    for cidr in ("10.92.0.0/16", "10.92.3.0/24", "10.64.0.0/10"):
        code, err = try_out(deployed, network("hides", cidr))
        assert code != 0, cidr
        assert "spec.ipam.subnets[0].cidr" in err
        assert "the Services' range 10.92.0.0/16" in err
    code, err = try_out(deployed, network("wire", "10.90.0.0/24"))
    assert code == 0
    assert "Warning: spec.ipam.subnets[0].cidr" in err
    assert "the address of a node" in err


def test_a_pod_out_of_a_backup_gets_its_networks_anew(deployed: Cluster, namespace: str) -> None:
    """What admission wrote in another cluster, or before the network was made again, isn't kept."""
    deployed.apply(network("restored", "10.79.0.0/16"))
    try:
        deployed.wait(lambda: _ready(deployed, "restored"), 30, "the network to be ready")
        manifest = json.loads(pod("restored", namespace, networks="restored"))
        stale = "net1=restored@00000000-0000-0000-0000-000000000000"
        manifest["metadata"]["annotations"][RESOLVED] = stale
        out = deployed.kubectl(
            "create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(manifest)
        )
        written = json.loads(out)["metadata"]["annotations"][RESOLVED]
        uid = deployed.json("podnetwork", "restored")["metadata"]["uid"]
        assert written == f"net1=restored@{uid}"
    finally:
        deployed.delete("podnetwork", "restored")


def _ready(cluster: Cluster, name: str) -> bool:
    return condition(cluster.json("podnetwork", name), "Ready") == "True"


def test_pods_that_ask_for_nothing_never_reach_it(deployed: Cluster, namespace: str) -> None:
    """With the webhook gone they are created as ever, and those that ask are refused."""
    deployment = "deployment/multinet-webhook"
    deployed.kubectl("scale", deployment, "-n", SYSTEM, "--replicas=0")
    try:
        deployed.kubectl(
            "wait",
            "-n",
            SYSTEM,
            "--for=delete",
            "pod",
            "-l",
            "app.kubernetes.io/name=multinet-webhook",
            "--timeout=40s",
        )
        deployed.apply(pod("plain", namespace))
        code, err = try_out(deployed, pod("asks", namespace, networks="blue"))
        assert code != 0
        assert "multinet" in err
    finally:
        deployed.kubectl("scale", deployment, "-n", SYSTEM, "--replicas=2")
        deployed.kubectl("rollout", "status", deployment, "-n", SYSTEM, "--timeout=60s")
