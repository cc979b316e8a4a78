"""Only the API server may ask the webhook: the steps of docs/install.md and the files of deploy/hardening, on a
real API server, and what becomes of those who show no certificate, or another's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2elib.admission import try_out
from e2elib.cluster import REPOSITORY, Cluster, condition
from e2elib.document import blocks
from e2elib.networks import Networks
from e2elib.objects import network, vxlan
from e2elib.pods import pod
from clusterlib.layout import DATA_ROOT

SYSTEM = "multinet-system"
DEPLOYMENT = "deployment/multinet-webhook"
LABEL = "-lapp.kubernetes.io/name=multinet-webhook"
HARDENING = REPOSITORY / "deploy" / "hardening"
ADMISSION, PKI = "/etc/kubernetes/admission", "/etc/kubernetes/pki"
CONFIGMAP = "multinet-webhook-clients"
# As TLS 1.3 has it, a client learns that its certificate isn't taken when it reads.
ASK = """
import ssl, sys
from http.client import HTTPSConnection
context = ssl._create_unverified_context()
if len(sys.argv) > 2:
    context.load_cert_chain(*sys.argv[2:])
connection = HTTPSConnection(sys.argv[1], 8443, context=context, timeout=5)
try:
    connection.request("POST", "/validate", "{}", {"Content-Type": "application/json"})
    print("answered", connection.getresponse().status)
except (ssl.SSLError, ConnectionError) as error:
    print("refused", error)
"""


def commands(cluster: Cluster) -> list[list[str]]:
    """The document's lines for kubectl, with this cluster's places for those of kubeadm."""
    heading = "Let only the API server ask the webhook"
    found = [
        line
        for block in blocks(REPOSITORY / "docs" / "install.md")
        if block.heading == heading
        for line in block.commands()
    ]
    assert len(found) == 2, found
    pki = str(cluster.record.layout.pki)
    changed = [
        line.replace(PKI, pki).replace("overlays/", f"{REPOSITORY}/overlays/").split()
        for line in found
    ]
    assert all(words[0] == "kubectl" for words in changed)
    return [words[1:] for words in changed]


def rolled_out(cluster: Cluster) -> None:
    """After an API server's restart its controllers begin again a while later."""
    status = ("rollout", "status", DEPLOYMENT, "-n", SYSTEM, "--timeout=5s")
    cluster.wait(lambda: cluster.kubectl_try(*status)[0] == 0, 150, "the webhooks' rollout")


@pytest.fixture(scope="module")
def configured(deployed: Cluster) -> Iterator[str]:
    """The API server's argument of the document, for its two files at this cluster's places."""
    directory = DATA_ROOT / deployed.name / "admission"
    directory.mkdir()
    pki = deployed.record.layout.pki
    for name in ("admission-configuration.yaml", "webhook-users.yaml"):
        text = (HARDENING / name).read_text().replace(ADMISSION, str(directory))
        (directory / name).write_text(text.replace(PKI, str(pki)))
    told = (REPOSITORY / "docs" / "install.md").read_text()
    (argument,) = re.findall(r"`(--admission-control-config-file=[^`]+)`", told)
    yield argument.replace(ADMISSION, str(directory))
    deployed.restart_api_server()
    deployed.kubectl("apply", "--server-side", "-k", str(REPOSITORY / "deploy"))
    rolled_out(deployed)


def addresses(cluster: Cluster) -> list[str]:
    out = cluster.kubectl("get", "pods", "-n", SYSTEM, LABEL, "-o", "json")
    return [one["status"]["podIP"] for one in json.loads(out)["items"]]


def ask(cluster: Cluster, certificate: str = "") -> set[str]:
    """What each webhook pod makes of a review from a process of a node: `answered` or `refused`."""
    pki = cluster.record.layout.pki
    files = [str(pki / f"{certificate}.{kind}") for kind in ("crt", "key")] if certificate else []
    told = [
        cluster.node_exec(cluster.nodes[0], "python3", "-c", ASK, address, *files)
        for address in addresses(cluster)
    ]
    return {one.split()[0] for one in told}


def failed_handshakes(cluster: Cluster) -> float:
    counted = 0.0
    for address in addresses(cluster):
        out = cluster.node_exec(
            cluster.nodes[0], "busybox", "wget", "-qO-", f"http://{address}:8081/metrics"
        )
        found = re.search(r'connections_total\{outcome="handshake-failed"\} (\S+)', out)
        counted += float(found[1]) if found else 0
    return counted


def admission_works(cluster: Cluster) -> bool:
    code, err = try_out(cluster, network("fits", "10.77.0.0/16"))
    assert code == 0, err
    return True


def test_the_api_server_first_and_nobody_notices(deployed: Cluster, configured: str) -> None:
    """Step 2 alone: a webhook that asks for no certificate gets none, and answers all as before."""
    assert ask(deployed) == {"answered"}
    deployed.restart_api_server(configured)
    deployed.wait(lambda: admission_works(deployed), 30, "admission to answer")
    assert ask(deployed) == {"answered"}


def test_then_only_the_api_server_is_answered(
    deployed: Cluster, configured: str, namespace: str
) -> None:
    for words in commands(deployed):
        deployed.kubectl(*words)
    rolled_out(deployed)

    def replaced() -> bool:
        out = deployed.kubectl("get", "pods", "-n", SYSTEM, LABEL, "-o", "json")
        found = [one["spec"]["containers"][0]["args"] for one in json.loads(out)["items"]]
        return all("--client-ca" in arguments for arguments in found)

    deployed.wait(replaced, 60, "the old pods' end")
    deployed.wait(lambda: admission_works(deployed), 30, "admission to answer")
    before = failed_handshakes(deployed)
    assert ask(deployed) == {"refused"}
    # The cluster's own CA signs each kubelet's: not good enough.
    assert ask(deployed, "kubelet-n1") == {"refused"}
    assert failed_handshakes(deployed) >= before + 4
    assert ask(deployed, "front-proxy-client") == {"answered"}
    deployed.apply(pod("plain", namespace))
    deployed.wait_pod_ready("plain", namespace)


def test_a_refusal_then_names_the_other_network(deployed: Cluster, configured: str) -> None:
    networks = Networks(deployed)
    try:
        networks.add_ready(vxlan("elder", "10.62.0.0/24", vni=7100))
        code, err = try_out(deployed, vxlan("younger", "10.62.1.0/24", vni=7100))
        assert code != 0
        assert '"elder"' in err
    finally:
        networks.remove()


def test_an_api_server_that_lost_its_certificate_lets_plain_pods_through(
    deployed: Cluster, configured: str, namespace: str
) -> None:
    """What the next `kubeadm upgrade` does to a manifest that only was edited by hand."""
    deployed.restart_api_server()
    # A connection that was kept from before would still be good.
    deployed.wait(
        lambda: try_out(deployed, network("fits", "10.77.0.0/16"))[0] != 0, 30, "the refusal"
    )
    code, err = try_out(deployed, pod("asks", namespace, networks="nowhere"))
    assert code != 0
    assert "multinet" in err
    deployed.apply(pod("plain", namespace))
    deployed.wait_pod_ready("plain", namespace)
    deployed.restart_api_server(configured)
    deployed.wait(lambda: admission_works(deployed), 30, "admission to answer")


def test_without_a_ca_no_webhook_begins_and_those_that_run_go_on(
    deployed: Cluster, configured: str
) -> None:
    def set_ca(text: str) -> None:
        change = json.dumps({"data": {"ca.crt": text}})
        deployed.kubectl(
            "patch", "configmap", CONFIGMAP, "-n", SYSTEM, "--type=merge", "-p", change
        )
        # The kubelet looks at mounted objects whenever it looks at a pod.
        deployed.kubectl(
            "annotate", "pods", "-n", SYSTEM, LABEL, f"e2e/length={len(text)}", "--overwrite"
        )

    def pods() -> dict[str, bool]:
        found = json.loads(deployed.kubectl("get", "pods", "-n", SYSTEM, LABEL, "-o", "json"))
        return {
            one["metadata"]["name"]: condition(one, "Ready") == "True"
            for one in found["items"]
            if "deletionTimestamp" not in one["metadata"]
        }

    before = pods()
    assert list(before.values()) == [True, True], before
    ca = (Path(deployed.record.layout.pki) / "front-proxy-ca.crt").read_text()
    set_ca("")

    def told(name: str) -> bool:
        return "ca.crt is empty" in deployed.kubectl("logs", name, "-n", SYSTEM)

    deployed.wait(lambda: all(told(name) for name in before), 120, "both to miss the CA")
    assert pods() == before
    assert admission_works(deployed)

    deployed.kubectl("rollout", "restart", DEPLOYMENT, "-n", SYSTEM)

    def begun() -> list[str]:
        return [name for name in pods() if name not in before and told(name)]

    new = deployed.wait(begun, 60, "a new one to miss the CA")
    assert not any(pods()[name] for name in new)
    assert any(pods().get(name) for name in before), "one that ran was ended for it"
    assert admission_works(deployed)

    set_ca(ca)
    rolled_out(deployed)
    deployed.wait(lambda: admission_works(deployed), 30, "admission to answer")
