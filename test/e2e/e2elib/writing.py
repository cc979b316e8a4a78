"""Writes objects to the API server without a process for each: the answer's time is the server's."""

from __future__ import annotations

import json
from typing import Any

from e2elib.cluster import Cluster, CommandFailed
from e2elib.reading import Reader

_MANAGER = "tests"


class Writer(Reader):
    """As administrator. CommandFailed says what the server refused."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster.record.port, cluster.record.layout.pki)

    def apply(self, manifest: str) -> dict[str, Any]:
        """One object, made or made as the manifest has it; what others own in it stays."""
        kind, metadata = json.loads(manifest)["kind"].lower(), json.loads(manifest)["metadata"]
        path = self._path(kind, metadata["name"], metadata.get("namespace", ""))
        where = f"{path}?fieldManager={_MANAGER}&force=true"
        return self._send("PATCH", where, manifest, "application/apply-patch+yaml")

    def create(self, manifest: str) -> dict[str, Any]:
        """One object; its name may be the server's to find."""
        kind, metadata = json.loads(manifest)["kind"].lower(), json.loads(manifest)["metadata"]
        path = self._path(kind, "", metadata["namespace"])
        return self._send("POST", path, manifest, "application/json")

    def replace(self, kind: str, object_: dict[str, Any]) -> dict[str, Any]:
        metadata = object_["metadata"]
        path = self._path(kind, metadata["name"], metadata["namespace"])
        return self._send("PUT", path, json.dumps(object_), "application/json")

    def label(self, kind: str, name: str, namespace: str, **labels: str | None) -> None:
        """Labels of this value, or gone where it is None."""
        patch = json.dumps({"metadata": {"labels": labels}})
        path = self._path(kind, name, namespace)
        self._send("PATCH", path, patch, "application/merge-patch+json")

    def clear(self, kind: str, namespace: str, labels: str = "") -> None:
        """All of a namespace, or those that labels select."""
        selected = f"?labelSelector={labels}" if labels else ""
        self._send("DELETE", self._path(kind, "", namespace) + selected, "", "application/json")

    def _send(self, method: str, path: str, body: str, content: str) -> dict[str, Any]:
        status, answer = self._ask(path, "application/json", method, body, content)
        if status not in (200, 201, 202):
            raise CommandFailed(f"{method} {path}: {status}: {answer.get('message')}")
        return dict(answer)
