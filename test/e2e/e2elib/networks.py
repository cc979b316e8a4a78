"""The networks that a test makes, and their end."""

from __future__ import annotations

import json
from typing import Any

from e2elib.cluster import Cluster
from e2elib.objects import wait_ready, wait_served


class Networks:
    """The networks of one test; remove() comes after the namespace of those who use them."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.names: list[str] = []

    def add(self, manifest: str) -> None:
        self.names.append(json.loads(manifest)["metadata"]["name"])
        self.cluster.apply(manifest)

    def add_ready(self, *manifests: str) -> None:
        for manifest in manifests:
            self.add(manifest)
        wait_ready(self.cluster, *self.names)

    def add_served(self, *manifests: str) -> None:
        """Waits until every node serves them, too."""
        for manifest in manifests:
            self.add(manifest)
        wait_served(self.cluster, *self.names)

    def remove(self) -> None:
        names = list(dict.fromkeys(self.names))
        for name in names:
            self.cluster.delete("podnetwork", name, "", "--wait=false")
        for name in names:
            self.cluster.delete("podnetwork", name, "", "--timeout=50s")

    def uid(self, name: str) -> str:
        return str(self.cluster.json("podnetwork", name)["metadata"]["uid"])

    def status(self, name: str) -> dict[str, Any]:
        return dict(self.cluster.json("podnetwork", name).get("status", {}))

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        conditions = self.status(name).get("conditions", [])
        return next((one for one in conditions if one["type"] == kind), {})


_OWNERS = ("deployments.apps", "statefulsets.apps", "daemonsets.apps")
_USERS = ("podnetworkservices", "podnetworkattachments", "podnetworkpolicies")


def empty(cluster: Cluster, namespace: str) -> None:
    """Ends a namespace's pods, and what else holds a network there."""
    ours = [f"{kind}.multinet.dev" for kind in _USERS if cluster.has_kind(kind)]
    for kind in (*_OWNERS, *ours):
        for name in _names(cluster.items(kind, namespace)):
            cluster.delete(kind, name, namespace, "--wait=false")

    def is_empty() -> bool:
        """An owner that isn't gone yet may make one more."""
        left = cluster.items("pods", namespace)
        for name in _names(left):
            cluster.delete("pod", name, namespace, "--wait=false", "--grace-period=1")
        return not left

    cluster.wait(is_empty, 90, f"the pods of {namespace} to end")


def _names(things: list[dict[str, Any]]) -> list[str]:
    """Of those that aren't ending already."""
    meta = [thing["metadata"] for thing in things]
    return [str(one["name"]) for one in meta if "deletionTimestamp" not in one]
