"""A small client of the API server, for waiting and for the few objects that `up` makes."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any

from clusterlib.errors import ClusterError
from clusterlib.layout import Layout
from clusterlib.pki import ADMIN

_CALL_SECONDS = 10.0


class Api:
    """Calls as the cluster's administrator, over the loopback port. One connection a call."""

    def __init__(self, layout: Layout, port: int) -> None:
        self._port = port
        self._tls = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
        self._tls.load_cert_chain(
            layout.pki / f"{ADMIN.file}.crt", layout.pki / f"{ADMIN.file}.key"
        )

    def call(self, method: str, path: str, body: object | None = None) -> tuple[int, Any]:
        """One request; returns the status and the decoded answer (text when it isn't JSON)."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self._port, context=self._tls, timeout=_CALL_SECONDS
        )
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
            if answer.headers.get_content_type() == "application/json":
                return answer.status, json.loads(text)
            return answer.status, text
        except (OSError, http.client.HTTPException) as error:
            raise ClusterError(f"{method} {path}: {error or type(error).__name__}") from error
        finally:
            connection.close()

    def not_ready(self) -> str | None:
        """None when the API server serves, else why not."""
        try:
            status, text = self.call("GET", "/readyz")
        except ClusterError as error:
            return str(error)
        return None if status == 200 else f"it answers {status}: {str(text)[-300:]}"

    def create(self, path: str, body: object) -> None:
        """Makes an object; one that is there already is left alone."""
        status, answer = self.call("POST", path, body)
        if status not in (200, 201, 409):
            raise ClusterError(f"create {path}: {status}: {answer}")

    def conditions(self, path: str) -> dict[str, dict[str, str]]:
        """The conditions in an object's status by type; empty when it isn't there."""
        status, answer = self.call("GET", path)
        if status != 200:
            return {}
        found = answer.get("status", {}).get("conditions", [])
        return {entry["type"]: entry for entry in found}
