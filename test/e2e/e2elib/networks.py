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
        if self.names:
            names = dict.fromkeys(self.names)
            self.cluster.kubectl(
                "delete", "podnetwork", *names, "--ignore-not-found", "--timeout=50s"
            )

    def uid(self, name: str) -> str:
        return str(self.cluster.json("podnetwork", name)["metadata"]["uid"])

    def status(self, name: str) -> dict[str, Any]:
        return dict(self.cluster.json("podnetwork", name).get("status", {}))

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        conditions = self.status(name).get("conditions", [])
        return next((one for one in conditions if one["type"] == kind), {})
