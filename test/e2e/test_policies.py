"""What holds without our servers: the policies that the API server itself evaluates."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from e2elib.cluster import REPOSITORY, Cluster
from e2elib.pods import REQUEST, pod

POLICIES = REPOSITORY / "deploy" / "policies"
FILES = ("request-keys.yaml", "pod-request.yaml")
RESOLVED = "multinet.dev/resolved"
GATE = {"readinessGates": [{"conditionType": "multinet.dev/networks-ready"}]}
FIELD = f"metadata.annotations[{REQUEST}]"


def asking(
    name: str, namespace: str, request: str, *, node: str = "", spec: dict[str, object] = GATE
) -> str:
    """A pod as the webhook leaves it: with its resolution and the gate."""
    manifest = json.loads(pod(name, namespace, node=node, networks=request, spec=spec))
    manifest["metadata"]["annotations"][RESOLVED] = "[]"
    return json.dumps(manifest)


def try_out(cluster: Cluster, manifest: str) -> tuple[int, str]:
    """Whether the server would take it, without keeping it."""
    code, _, err = cluster.kubectl_try("create", "--dry-run=server", "-f", "-", stdin=manifest)
    return code, err


@pytest.fixture(scope="module")
def policies(cluster: Cluster) -> Iterator[None]:
    """The policies alone, in force: no webhook, no controller."""
    for file in FILES:
        cluster.kubectl("apply", "--server-side", "-f", str(POLICIES / file))

    def in_force() -> bool:
        """The server takes policies up with a delay; each is asked for by what it refuses."""
        host = asking("probe", "default", "blue", spec=GATE | {"hostNetwork": True})
        return "spec.hostNetwork" in try_out(cluster, host)[1]

    cluster.wait(in_force, 30, "the policies to be in force")
    yield
    for file in FILES:
        cluster.kubectl("delete", "--ignore-not-found", "-f", str(POLICIES / file))


@pytest.mark.usefixtures("policies")
@pytest.mark.parametrize(
    "request_text",
    [
        "",
        ",",
        "blue,",
        ",blue",
        "blue,,red",
        "Blue",
        "blue red",
        "other-namespace/blue",
        "attachment/",
        "attachment/a/b",
        '[{"name": "blue"}]',
        "blue\nred",
        "net*",
        'a"b',
        "a%b",
        "-blue",
        "blue-",
    ],
)
def test_what_is_no_list_of_networks_is_refused(cluster: Cluster, request_text: str) -> None:
    code, err = try_out(cluster, asking("bad", "default", request_text))
    assert code != 0
    # The server shows no message with a line break in it; the fixed one takes its place.
    shown = "the value" if "\n" in request_text else f'"{request_text}"'
    assert f"{FIELD}: {shown} is no list of networks" in err
    assert "for example: blue, attachment/nas" in err


@pytest.mark.usefixtures("policies")
@pytest.mark.parametrize("request_text", ["blue", "blue,red", " blue , attachment/nas ", "a.b-c"])
def test_a_list_of_networks_passes(cluster: Cluster, request_text: str) -> None:
    assert try_out(cluster, asking("good", "default", request_text)) == (0, "")


@pytest.mark.usefixtures("policies")
def test_nothing_gets_by_while_the_webhook_is_away(cluster: Cluster) -> None:
    namespace = "default"  # nothing is kept
    bare = pod("bare", namespace, networks="blue")
    code, err = try_out(cluster, bare)
    assert code != 0
    assert f"metadata.annotations[{RESOLVED}]: missing" in err

    code, err = try_out(cluster, asking("ungated", namespace, "blue", spec={}))
    assert code != 0
    assert "spec.readinessGates: multinet.dev/networks-ready is missing" in err

    on_host = asking("host", namespace, "blue", spec=GATE | {"hostNetwork": True})
    code, err = try_out(cluster, on_host)
    assert code != 0
    assert "spec.hostNetwork: true" in err

    only_resolved = json.loads(pod("forged", namespace))
    only_resolved["metadata"]["annotations"] = {RESOLVED: "[]"}
    code, err = try_out(cluster, json.dumps(only_resolved))
    assert code != 0
    assert "the pod asks for no network" in err

    assert try_out(cluster, pod("plain", namespace)) == (0, ""), "who asks for nothing comes in"


@pytest.mark.usefixtures("policies")
def test_a_request_never_changes(cluster: Cluster, namespace: str) -> None:
    node = cluster.nodes[0]
    cluster.apply(asking("fixed", namespace, "blue", node=node))

    def bound() -> bool:
        return cluster.json("pod", "fixed", namespace)["spec"].get("nodeName") == node

    cluster.wait(bound, 15, "the scheduler to place the pod")
    for key, what in ((REQUEST, "a pod's request can't change"), (RESOLVED, "written once")):
        for value in (f"{key}=other", f"{key}-"):
            change = ("annotate", "pod", "fixed", "-n", namespace, "--overwrite", value)
            code, _, err = cluster.kubectl_try(*change)
            assert code != 0, value
            assert f"metadata.annotations[{key}]: {what}" in err

        # The kubelet's identity may write the status of its pods, and annotations go along.
        changed = cluster.json("pod", "fixed", namespace)
        changed["metadata"]["annotations"][key] = "other"
        del changed["metadata"]["resourceVersion"]  # the kubelet writes its status meanwhile
        path = f"/api/v1/namespaces/{namespace}/pods/fixed/status"
        code, _, err = cluster.kubectl_try(
            *("replace", "--raw", path, "-f", "-"),
            stdin=json.dumps(changed),
            kubeconfig=cluster.node_kubeconfig(node),
        )
        assert code != 0, key
        assert f"metadata.annotations[{key}]: {what}" in err

    cluster.kubectl("annotate", "pod", "fixed", "-n", namespace, "example.com/else=fine")
    cluster.kubectl("label", "pod", "fixed", "-n", namespace, "else=fine")
    annotations = cluster.json("pod", "fixed", namespace)["metadata"]["annotations"]
    assert annotations[REQUEST] == "blue"
    assert annotations["example.com/else"] == "fine"
