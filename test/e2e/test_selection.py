"""Networks by labels: a chart that knows nothing of Multinet gets them from attachments with a
podSelector, in namespaces whose admin said so; what can't be given is refused, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2elib.admission import WEBHOOKS, try_out, without
from e2elib.checks import COUNTED_WITHIN, assert_clean
from e2elib.cluster import Cluster, condition, run_try
from e2elib.objects import address, attachment, interface, network, together, vxlan, wait_ready
from e2elib.pods import IMAGE, REQUEST, WAIT_FOR_END, pod

SELECTED = "multinet.dev/selected"
RESOLVED = "multinet.dev/resolved"
LABEL = "multinet.dev/select"
HOME = "selection"
ELSEWHERE = "selection-elsewhere"
WEB = {"app": "web"}


def choosing(name: str, on: str, labels: dict[str, str], namespace: str = HOME, **more: Any) -> str:
    return attachment(name, namespace, on, podSelector={"matchLabels": labels}, **more)


def deployment(name: str, labels: dict[str, str], replicas: int) -> str:
    """As any chart has it: not a word of networks."""
    container = {
        "name": "main",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["/bin/sh", "-c", WAIT_FOR_END],
    }
    template = {
        "metadata": {"labels": labels},
        "spec": {"terminationGracePeriodSeconds": 2, "containers": [container]},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": name, "namespace": HOME}
    return json.dumps(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
    )


def as_admitted(cluster: Cluster, manifest: str) -> dict[str, str]:
    """The annotations that the pod would have; nothing is kept."""
    command = ("create", "--dry-run=server", "-o", "json", "-f", "-")
    made = json.loads(cluster.kubectl(*command, stdin=manifest))
    return dict(made["metadata"].get("annotations", {}))


@pytest.fixture(scope="module")
def home(deployed: Cluster) -> Iterator[Cluster]:
    """A namespace that selects, one that doesn't, and networks that are open to both."""
    for name in (HOME, ELSEWHERE):
        deployed.kubectl("create", "namespace", name)
    for name in (HOME, ELSEWHERE):

        def has_account(name: str = name) -> bool:
            return deployed.exists("serviceaccount", "default", name)

        deployed.wait(has_account, 20, f"the service account of {name}")
    deployed.kubectl("label", "namespace", HOME, f"{LABEL}=enabled")
    deployed.apply(
        together(vxlan("picked", "10.94.0.0/24"), network("other-picked", "10.95.0.0/24"))
    )
    wait_ready(deployed, "picked", "other-picked")
    yield deployed
    for name in (HOME, ELSEWHERE):
        deployed.delete("namespace", name, "", "--wait=false")
    for name in (HOME, ELSEWHERE):

        def ended(name: str = name) -> bool:
            return not deployed.exists("namespace", name)

        deployed.wait(ended, 110, f"namespace {name} to end")
    deployed.delete("podnetwork", "picked")
    deployed.delete("podnetwork", "other-picked")
    assert_clean(deployed)


@pytest.fixture
def attachments(home: Cluster) -> Iterator[Cluster]:
    """The namespace without attachments before and after a test."""
    yield home
    home.kubectl("delete", "deployments,pods", "--all", "-n", HOME, "--wait=true", "--timeout=60s")
    home.kubectl("delete", "podnetworkattachments", "--all", "-n", HOME, "--timeout=60s")


def test_a_deployment_gets_a_network_by_its_labels(attachments: Cluster) -> None:
    """In one file with the attachment, as a chart's values would have it."""
    cluster = attachments
    chart = deployment("web", WEB, 2)
    cluster.apply(together(choosing("web-picked", "picked", WEB), chart))
    cluster.kubectl("rollout", "status", "deployment/web", "-n", HOME, "--timeout=60s")
    pods = [one["metadata"] for one in cluster.items("pods", HOME)]
    assert len(pods) == 2
    for metadata in pods:
        annotations = metadata["annotations"]
        assert annotations[REQUEST] == annotations[SELECTED] == "attachment/web-picked"
        assert annotations[RESOLVED].startswith("net1=attachment/web-picked@")
    first, second = (metadata["name"] for metadata in pods)
    told = interface(cluster, HOME, second, "net1")
    assert told["podNetworkName"] == "picked"
    assert told["attachmentName"] == "web-picked"
    interface(cluster, HOME, first, "net1")
    cluster.pod_exec(HOME, first, "ping", "-c", "1", "-W", "5", "-I", "net1", address(told))
    # A template that admission had changed would never come to rest.
    template = cluster.json("deployment", "web", HOME)["spec"]["template"]
    assert "annotations" not in template["metadata"]

    def counted() -> bool:
        status = cluster.json("podnetworkattachment", "web-picked", HOME).get("status", {})
        return bool(status.get("attachedPods") == 2)

    cluster.wait(counted, COUNTED_WITHIN, "the attachment to count both pods")


def test_no_pod_after_its_attachment_goes_without(attachments: Cluster) -> None:
    """Neither the webhook's cache nor the policy's may know of an attachment that is just made."""
    cluster = attachments
    for number in range(8):
        labels = {"app": f"quick-{number}"}
        name = f"quick-{number}"
        made = together(choosing(name, "picked", labels), pod(name, HOME, labels=labels))
        code, _, err = cluster.apply_try(made)
        if code != 0:  # the policy heard of it and the webhook had not: said, and never in silence
            assert "chooses the pod" in err
            continue
        annotations = cluster.json("pod", name, HOME)["metadata"]["annotations"]
        assert annotations.get(SELECTED) == f"attachment/{name}"


def test_a_request_and_labels_go_together(attachments: Cluster) -> None:
    cluster = attachments
    cluster.apply(together(choosing("b", "picked", WEB), choosing("a", "other-picked", WEB)))
    both = as_admitted(cluster, pod("p", HOME, labels=WEB))
    assert both[SELECTED] == both[REQUEST] == "attachment/a, attachment/b"
    asking = as_admitted(cluster, pod("p", HOME, labels=WEB, networks="picked"))
    assert (asking[REQUEST], asking[SELECTED]) == ("picked, attachment/a", "attachment/a")
    assert asking[RESOLVED].startswith("net1=picked@")
    assert as_admitted(cluster, pod("p", HOME, labels={"app": "db"})) == {}
    host = pod("p", HOME, labels=WEB, spec={"hostNetwork": True})
    assert as_admitted(cluster, host) == {}
    assert 'PodNetworkAttachment "a"' in try_out(cluster, host)[1]


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"on": "picked"}, '"attachment/two" joins network "picked" again'),
        ({"on": "other-picked", "interfaceName": "san0"}, '"attachment/two" gets interface name'),
    ],
)
def test_what_cannot_be_given_is_refused(
    attachments: Cluster, second: dict[str, str], said: str
) -> None:
    cluster = attachments
    one = choosing("one", "picked", WEB, interfaceName="san0")
    cluster.apply(together(one, choosing("two", labels=WEB, **second)))
    code, err = try_out(cluster, pod("p", HOME, labels=WEB))
    assert code != 0
    assert f"admit pod {HOME}/p" in err
    assert said in err
    assert "by its labels it got attachment/one, attachment/two" in err
    assert try_out(cluster, pod("p", HOME, labels={"app": "db"})) == (0, "")


def test_more_than_a_pod_can_have_is_refused(attachments: Cluster) -> None:
    cluster = attachments
    cluster.apply(together(*(choosing(f"n{i}", "picked", WEB) for i in range(10, 27))))
    code, err = try_out(cluster, pod("p", HOME, labels=WEB))
    assert code != 0
    assert "has 17 items; ask for at most 16" in err


def test_a_namespace_without_the_label_is_told_so_and_never_touched(attachments: Cluster) -> None:
    cluster = attachments
    idle = choosing("idle", "picked", WEB, ELSEWHERE)
    code, err = try_out(cluster, idle)
    assert code != 0
    assert f'spec.podSelector: chooses no pod: namespace "{ELSEWHERE}" lacks the label' in err
    assert f"kubectl label namespace {ELSEWHERE} {LABEL}=enabled" in err
    cluster.apply(choosing("web-picked", "picked", WEB))
    assert as_admitted(cluster, pod("p", ELSEWHERE, labels=WEB)) == {}
    assert "every pod" in try_out(cluster, attachment("all", HOME, "picked", podSelector={}))[1]


def test_a_pod_copied_elsewhere_is_a_plain_pod_again(attachments: Cluster) -> None:
    cluster = attachments
    cluster.apply(choosing("web-picked", "picked", WEB))
    cluster.apply(pod("origin", HOME, labels=WEB))
    made = cluster.json("pod", "origin", HOME)
    for key in (SELECTED, REQUEST):
        code, _, err = cluster.kubectl_try(
            "annotate", "pod", "origin", "-n", HOME, "--overwrite", f"{key}=other"
        )
        assert code != 0
        assert f"metadata.annotations[{key}]" in err
    spec = {
        "containers": made["spec"]["containers"],
        "readinessGates": made["spec"]["readinessGates"],
    }
    spec["containers"][0].pop("volumeMounts", None)
    metadata = {key: made["metadata"][key] for key in ("name", "labels", "annotations")}
    copy = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    for namespace, expected in ((ELSEWHERE, None), (HOME, "attachment/web-picked")):
        copy["metadata"] = metadata | {"namespace": namespace, "name": "copy"}
        out = cluster.kubectl(
            "create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(copy)
        )
        became = json.loads(out)
        annotations = became["metadata"].get("annotations", {})
        assert annotations.get(SELECTED) == annotations.get(REQUEST) == expected
        assert bool(became["spec"].get("readinessGates")) == (expected is not None)
    assert (
        "where it was copied from"
        in try_out(cluster, json.dumps(copy | {"metadata": metadata | {"namespace": ELSEWHERE}}))[1]
    )


# Each operator, by a pod's labels; the API server's policy has to say what our own rules say.
EXPRESSIONS = [
    ({"key": "tier", "operator": "In", "values": ["a", "b"]}, {"tier": "a"}, {"tier": "c"}),
    ({"key": "tier", "operator": "NotIn", "values": ["a"]}, {"tier": "b"}, {"tier": "a"}),
    ({"key": "tier", "operator": "NotIn", "values": ["a"]}, {}, {"tier": "a"}),
    ({"key": "tier", "operator": "Exists"}, {"tier": ""}, {"other": "a"}),
    ({"key": "tier", "operator": "DoesNotExist"}, {"other": "a"}, {"tier": "a"}),
]


def test_without_the_webhook_only_chosen_pods_stop(attachments: Cluster) -> None:
    cluster = attachments

    def tried(labels: dict[str, str], namespace: str = HOME, **more: Any) -> tuple[int, str]:
        return try_out(cluster, pod("p", namespace, labels=labels, **more))

    for number, (expression, _, _) in enumerate(EXPRESSIONS):
        selector = {
            "matchLabels": {f"case-{number}": str(number)},
            "matchExpressions": [expression],
        }
        cluster.apply(attachment(f"case-{number}", HOME, "picked", podSelector=selector))
    cluster.apply(choosing("web-picked", "picked", WEB))
    for number, (_, fits, differs) in enumerate(EXPRESSIONS):
        case = {f"case-{number}": str(number)}
        assert SELECTED in as_admitted(cluster, pod("p", HOME, labels=case | fits)), number
        assert as_admitted(cluster, pod("p", HOME, labels=case | differs)) == {}, number
    with without(cluster, *WEBHOOKS):
        code, err = tried(WEB)
        assert code != 0
        assert 'PodNetworkAttachment "web-picked" chooses the pod' in err
        assert "multinet-webhook" in err
        for number, (_, fits, differs) in enumerate(EXPRESSIONS):
            case = {f"case-{number}": str(number)}
            assert f'"case-{number}" chooses' in tried(case | fits)[1], number
            assert tried(case | differs) == (0, ""), number
        assert tried({"app": "db"}) == (0, ""), "whom nothing chooses"
        assert tried({}) == (0, "")
        assert tried(WEB, ELSEWHERE) == (0, ""), "where nothing selects"
        assert tried(WEB, spec={"hostNetwork": True})[0] == 0, "never chosen"
        forged = json.loads(pod("p", ELSEWHERE, labels=WEB))
        forged["metadata"]["annotations"] = {SELECTED: "attachment/web-picked"}
        code, err = try_out(cluster, json.dumps(forged))
        assert code != 0
        assert f"metadata.annotations[{SELECTED}]" in err


def test_a_label_that_goes_ends_it_and_is_told(attachments: Cluster) -> None:
    cluster = attachments
    cluster.apply(choosing("web-picked", "picked", WEB))

    def ready() -> str:
        return condition(cluster.json("podnetworkattachment", "web-picked", HOME), "Ready")

    cluster.wait(lambda: ready() == "True", 20, "the attachment to be Ready")
    cluster.kubectl("label", "namespace", HOME, f"{LABEL}-")
    try:
        cluster.wait(lambda: ready() == "False", 20, "the attachment to say that it chooses nobody")
        told = cluster.json("podnetworkattachment", "web-picked", HOME)["status"]["conditions"]
        assert f"lacks the label {LABEL}=enabled" in told[0]["message"]
        assert as_admitted(cluster, pod("p", HOME, labels=WEB)) == {}
    finally:
        cluster.kubectl("label", "namespace", HOME, f"{LABEL}=enabled")
    cluster.wait(lambda: ready() == "True", 20, "the attachment to be Ready again")


def test_explain_tells_it_before(attachments: Cluster, programs: Path) -> None:
    cluster = attachments
    cluster.apply(choosing("web-picked", "picked", WEB))
    command = [str(programs / "kubectl-multinet"), "explain", "-f", "-"]
    code, out, err = run_try(
        [*command, "--kubeconfig", str(cluster.kubeconfig)], deployment("web", WEB, 1)
    )
    assert code == 0, err
    assert f"Deployment {HOME}/web: would get eth0 and" in out
    assert "net1 on network picked" in out
    assert "chosen by its labels: attachment/web-picked" in out
