"""Reads objects from the API server without a process for each, which is what tests that wait do most."""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path
from typing import Any

_PATIENCE = 20.0
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class _Unknown(LookupError):
    """A kind that the server doesn't serve."""


class Reader:
    """As administrator. Answers as `kubectl get -o json` does, or None where only kubectl can say what is wrong."""

    def __init__(self, port: int, pki: Path) -> None:
        self._port = port
        self._pki = pki
        self._paths: dict[str, tuple[str, str, bool]] = {}  # by name: path, plural, namespaced

    def get(self, kind: str, name: str = "", namespace: str = "") -> Any:
        """One object, or all in a namespace (empty: in all). LookupError: it isn't there."""
        try:
            status, answer = self._ask(self._path(kind, name, namespace), "application/json")
        except _Unknown:
            return None
        except (OSError, http.client.HTTPException, ValueError):
            return None
        if status == 404 and name and answer.get("reason") == "NotFound" and answer.get("details"):
            raise LookupError(f"Error from server (NotFound): {answer.get('message')}")
        if status != 200:
            return None
        return answer if name else _as_list(answer)

    def _path(self, kind: str, name: str, namespace: str) -> str:
        """Of one object, or of all in a namespace; _Unknown for a kind that the server hasn't."""
        where = self._where(kind)
        if where is None:
            raise _Unknown(kind)
        base, plural, is_namespaced = where
        if is_namespaced and (namespace or name):
            base += f"/namespaces/{namespace or 'default'}"
        return f"{base}/{plural}" + (f"/{name}" if name else "")

    def _ask(
        self, path: str, accept: str, method: str = "GET", body: str = "", content: str = ""
    ) -> tuple[int, Any]:
        context = ssl.create_default_context(cafile=self._pki / "ca.crt")
        context.load_cert_chain(self._pki / "admin.crt", self._pki / "admin.key")
        link = http.client.HTTPSConnection(
            "127.0.0.1", self._port, timeout=_PATIENCE, context=context
        )
        try:
            headers = {"Accept": accept} | ({"Content-Type": content} if content else {})
            link.request(method, path, body or None, headers)
            answer = link.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            link.close()

    def _where(self, kind: str) -> tuple[str, str, bool] | None:
        """Kinds may come later than the first question."""
        if kind not in self._paths:
            found: dict[str, tuple[str, str, bool]] = {}
            for root in ("/api", "/apis"):
                status, answer = self._ask(root, _DISCOVERY)
                for group in answer.get("items", []) if status == 200 else []:
                    _add(root, group, found)
            self._paths = found
        return self._paths.get(kind)


def _add(root: str, group: dict[str, Any], found: dict[str, tuple[str, str, bool]]) -> None:
    """What came first keeps a name that two groups have, as with kubectl; of versions the preferred."""
    name = group["metadata"].get("name", "")
    version = group["versions"][0]
    base = "/".join(one for one in (root, name, version["version"]) if one)
    for resource in version.get("resources", []):
        plural = resource["resource"]
        where = (base, plural, resource["scope"] == "Namespaced")
        singular = resource.get("singularResource") or resource["responseKind"]["kind"].lower()
        for one in (plural, singular, *resource.get("shortNames", [])):
            found.setdefault(one, where)
            if name:
                found.setdefault(f"{one}.{name}", where)


def _as_list(answer: dict[str, Any]) -> dict[str, Any]:
    """Each item says what it is, as kubectl has it."""
    kind = {"apiVersion": answer["apiVersion"], "kind": answer["kind"].removesuffix("List")}
    items = [kind | item for item in answer.get("items") or []]
    return {
        "apiVersion": "v1",
        "kind": "List",
        "metadata": answer.get("metadata", {}),
        "items": items,
    }
