"""What is installed, in each of the ways that docs/install.md knows, as `kubectl kustomize` and Helm make it:
the same objects, hardened, and no image that a stranger could answer for. Needs no cluster."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from e2elib.cluster import REPOSITORY, run_try
from clusterlib import gobuild
from clusterlib.parts import PARTS
from clusterlib.progress import Progress

WAYS = (
    "deploy",
    "overlays/single",
    "overlays/host-network",
    "overlays/registry",
    "overlays/client-certificate",
    "chart",
)
EXAMPLE = "registry.example.com/"
"""What a reader of overlays/registry replaces; RFC 2606 keeps the domain from everybody."""
Object = dict[str, Any]


def made(way: str, chart: str) -> list[Object]:
    if way == "chart":
        return [one for one in yaml.safe_load_all(chart) if one]
    kubectl = gobuild.build(PARTS[:1], Progress())["kubernetes"] / "kubectl"
    code, out, err = run_try([str(kubectl), "kustomize", str(REPOSITORY / way)])
    assert code == 0, err
    return [one for one in yaml.safe_load_all(out) if one]


def key(thing: Object) -> tuple[str, str]:
    return thing["kind"], thing["metadata"]["name"]


def without_labels(thing: Object) -> Object:
    """Without what says who installed it."""
    metadata = {k: v for k, v in thing["metadata"].items() if k not in ("labels", "annotations")}
    return thing | {"metadata": metadata}


def test_the_chart_has_what_the_manifests_have(chart: str) -> None:
    rendered = {key(one): without_labels(one) for one in made("chart", chart)}
    deploy = {key(one): without_labels(one) for one in made("deploy", chart)}
    # Helm's --create-namespace makes it; and what a pod is labelled is part of its template.
    assert deploy.keys() - rendered.keys() == {("Namespace", "multinet-system")}
    assert rendered.keys() <= deploy.keys()
    for which, thing in rendered.items():
        assert thing == deploy[which], which


@pytest.mark.parametrize("way", WAYS)
def test_what_runs_is_hardened(way: str, chart: str) -> None:
    deployments = [one for one in made(way, chart) if one["kind"] == "Deployment"]
    assert {one["metadata"]["name"] for one in deployments} == {
        "multinet-controller",
        "multinet-webhook",
    }
    for one in deployments:
        spec = one["spec"]["template"]["spec"]
        assert spec["priorityClassName"] == "system-cluster-critical"
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (spread,) = spec["topologySpreadConstraints"]
        assert spread["topologyKey"] == "kubernetes.io/hostname"
        assert spread["labelSelector"] == one["spec"]["selector"]
        for container in spec["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]
            assert container["livenessProbe"]
            assert container["readinessProbe"]
            check_image(container)


def check_image(container: Object) -> None:
    """Nobody is asked for it, or its bytes are named, or its name is the reader's to choose."""
    image, policy = container["image"], container.get("imagePullPolicy", "IfNotPresent")
    assert policy == "Never" or "@sha256:" in image or image.startswith(EXAMPLE), (image, policy)


@pytest.mark.parametrize("way", WAYS)
def test_a_drain_is_never_held_up(way: str, chart: str) -> None:
    objects = made(way, chart)
    replicas = {
        one["metadata"]["name"]: one["spec"]["replicas"]
        for one in objects
        if one["kind"] == "Deployment"
    }
    for one in objects:
        if one["kind"] == "PodDisruptionBudget":
            assert one["spec"]["minAvailable"] < replicas[one["metadata"]["name"]]


def test_no_manifest_of_the_repository_asks_for_an_image() -> None:
    code, out, err = run_try(["git", "-C", str(REPOSITORY), "ls-files", "*.yaml"])
    assert code == 0, err
    found = []
    for name in out.split():
        if "/chart/templates/" in name:
            continue
        for thing in yaml.safe_load_all((REPOSITORY / name).read_text()):
            found += list(containers(thing))
    assert found
    for container in found:
        check_image(container)


def containers(thing: Any) -> list[Object]:
    """Whatever has an image, at any depth."""
    if isinstance(thing, list):
        return [found for one in thing for found in containers(one)]
    if not isinstance(thing, dict):
        return []
    inside = [found for one in thing.values() for found in containers(one)]
    return [thing, *inside] if isinstance(thing.get("image"), str) and "name" in thing else inside
