"""Writes objects to the API server without a process for each: the answer's time is the server's."""

from __future__ import annotations

import json
from typing import Any

from clusterlib.objects import Objects
from e2elib.cluster import Cluster, CommandFailed

_APPLY = {"fieldManager": "tests", "force": "true"}


class Writer(Objects):
    """As administrator. CommandFailed says what the server refused."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster.record.port, cluster.record.layout.pki)

    def apply(self, manifest: str) -> dict[str, Any]:
        """One object, made or made as the manifest has it; what others own in it stays."""
        thing = json.loads(manifest)
        path = self._path(thing, thing["metadata"]["name"])
        return self._send("PATCH", path, thing, "application/apply-patch+yaml", _APPLY)

    def make(self, manifest: str) -> dict[str, Any]:
        """One object; its name may be the server's to find."""
        thing = json.loads(manifest)
        return self._send("POST", self._path(thing, ""), thing)

    def replace(self, thing: dict[str, Any]) -> dict[str, Any]:
        return self._send("PUT", self._path(thing, thing["metadata"]["name"]), thing)

    def label(self, kind: str, name: str, namespace: str, **labels: str | None) -> None:
        """Labels of this value, or gone where it is None."""
        patch = {"metadata": {"labels": labels}}
        path = self.place(kind).path(name, namespace)
        self._send("PATCH", path, patch, "application/merge-patch+json")

    def clear(self, kind: str, namespace: str, labels: str = "") -> None:
        """All of a namespace, or those that labels select."""
        selected = {"labelSelector": labels} if labels else {}
        self._send("DELETE", self.place(kind).path("", namespace), None, options=selected)

    def _path(self, thing: dict[str, Any], name: str) -> str:
        place = self.place(f"{thing['apiVersion']}/{thing['kind']}")
        return place.path(name, thing["metadata"].get("namespace", ""))

    def _send(
        self,
        method: str,
        path: str,
        body: Any,
        content: str = "application/json",
        options: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        answer = self.ask(method, path, options or {}, body, content)
        if answer.status not in (200, 201, 202):
            raise CommandFailed(f"{method} {path}: {answer.status}: {answer.body.get('message')}")
        return dict(answer.body)
