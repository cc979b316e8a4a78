"""Taking parts of admission away for a while, so that a test sees what holds without them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from e2elib.cluster import Cluster
from e2elib.pods import pod

WEBHOOKS = (
    "mutatingwebhookconfiguration/multinet-mutate",
    "validatingwebhookconfiguration/multinet-validate",
)
POD_POLICY = "validatingadmissionpolicybinding/multinet-pod-request"
_OF_THE_SERVER = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")


def try_out(cluster: Cluster, manifest: str) -> tuple[int, str]:
    """Whether the server would create it, without keeping it, and all that it says."""
    return cluster.try_out(manifest)


@contextmanager
def without(cluster: Cluster, *objects: str) -> Iterator[None]:
    """Removes these for the time of the block. Their contents, certificates too, come back as they were."""
    saved = [_bare(json.loads(cluster.kubectl("get", name, "-o", "json"))) for name in objects]
    cluster.kubectl("delete", *objects)
    try:
        # The server forgets webhooks and policies with a delay; what all of them would refuse tells.
        if POD_POLICY in objects:
            cluster.wait(lambda: _takes(cluster, "no list!"), 30, "bad requests to be taken")
        else:
            cluster.wait(lambda: _takes_unresolved(cluster), 30, "the webhooks to be away")
        yield
    finally:
        for entry in saved:
            _restore(cluster, entry)
        cluster.wait(lambda: not _takes(cluster, "no list!"), 30, "bad requests to be refused")
        cluster.wait(
            lambda: "nowhere-at-all" in try_out(cluster, _asking("nowhere-at-all"))[1],
            30,
            "the webhook to answer again",
        )


def _asking(request: str) -> str:
    return pod("probe", "default", networks=request)


def _takes(cluster: Cluster, request: str) -> bool:
    return try_out(cluster, _asking(request))[0] == 0


def _takes_unresolved(cluster: Cluster) -> bool:
    """With the webhooks away a request isn't resolved, and only the policy speaks."""
    return "webhook did not answer" in try_out(cluster, _asking("nowhere-at-all"))[1]


def _restore(cluster: Cluster, thing: dict[str, Any]) -> None:
    """As `kubectl apply --server-side` made it; the certificates aren't the manifest's."""
    bundles = [one.get("clientConfig", {}).pop("caBundle", "") for one in thing.get("webhooks", [])]
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(thing))
    change = [
        {"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": bundle}
        for index, bundle in enumerate(bundles)
        if bundle
    ]
    if change:
        name = thing["metadata"]["name"]
        cluster.kubectl("patch", thing["kind"], name, "--type=json", "-p", json.dumps(change))


def _bare(thing: dict[str, Any]) -> dict[str, Any]:
    for field in _OF_THE_SERVER:
        thing["metadata"].pop(field, None)
    return thing
