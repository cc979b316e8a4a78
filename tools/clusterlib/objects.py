"""Reads and writes objects without a process for each, which is what tests do most."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

_PATIENCE = 20.0
_JSON = "application/json"
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_STALE = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)
_REFUSALS = (400, 403, 422)


class Unknown(LookupError):
    """A kind that the server doesn't serve."""


@dataclass(frozen=True)
class Place:
    """Where a kind is served."""

    base: str
    plural: str
    namespaced: bool

    def path(self, name: str, namespace: str) -> str:
        """Of one object, or of all in a namespace (empty: in all)."""
        base = self.base
        if self.namespaced and (namespace or name):
            base += f"/namespaces/{namespace or 'default'}"
        return f"{base}/{self.plural}" + (f"/{name}" if name else "")


@dataclass(frozen=True)
class Answer:
    """What the server said to one request."""

    status: int
    body: Any
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Said:
    """What kubectl would have printed."""

    code: int
    out: str
    err: str


class Objects:
    """As administrator. Answers as kubectl does, or None where only kubectl can say what is wrong."""

    def __init__(self, port: int, pki: Path) -> None:
        self._port = port
        self._tls = ssl.create_default_context(cafile=pki / "ca.crt")
        self._tls.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        self._places: dict[str, Place] = {}  # by what people call a kind, and by version and kind
        self._kept = threading.local()  # a connection for each thread

    def get(self, kind: str, name: str = "", namespace: str = "", **options: str) -> Any:
        """One object, or all in a namespace (empty: in all). LookupError: it isn't there."""
        try:
            path = self.place(kind).path(name, namespace)
            answer = self.ask("GET", path, options)
        except (Unknown, OSError, http.client.HTTPException, ValueError):
            return None
        if name and _is_missing(answer):
            raise LookupError(f"Error from server (NotFound): {answer.body.get('message')}")
        if answer.status != 200:
            return None
        return answer.body if name else _as_list(answer.body)

    def serves(self, kind: str) -> bool | None:
        """Whether there is such a kind. None: the server didn't say."""
        try:
            self.place(kind)
        except Unknown:
            return False
        except (OSError, http.client.HTTPException, ValueError):
            return None
        return True

    def create(self, manifest: str, dry_run: bool = False) -> Said | None:
        """Objects that are new. With dry_run nothing is kept; else they can be applied again later.

        Of those that are to stay, what is there already or refused is left to kubectl."""
        try:
            things = _things(manifest)
            said = [self._create(thing, dry_run) for thing in things]
        except (Unknown, OSError, http.client.HTTPException, ValueError, KeyError):
            return None
        told = [one for one in said if one is not None]
        if len(told) != len(said) or (not dry_run and any(one.code for one in told)):
            return None
        code = max((one.code for one in told), default=0)
        return Said(code, "".join(one.out for one in told), "".join(one.err for one in told))

    def delete(self, kind: str, name: str, namespace: str, seconds: int | None) -> str | None:
        """Begins the end of an object, with so long for its pods; returns its UID ("": it isn't there)."""
        grace = {} if seconds is None else {"gracePeriodSeconds": seconds}
        wish = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        try:
            path = self.place(kind).path(name, namespace)
            answer = self.ask("DELETE", path, {}, wish | grace)
        except (Unknown, OSError, http.client.HTTPException, ValueError):
            return None
        if _is_missing(answer):
            return ""
        if answer.status not in (200, 202):
            return None
        body = answer.body
        return str(body.get("metadata", {}).get("uid") or body.get("details", {}).get("uid") or "")

    def _create(self, thing: dict[str, Any], dry_run: bool) -> Said | None:
        place = self.place(f"{thing['apiVersion']}/{thing['kind']}")
        meta = thing["metadata"]
        options = {"fieldValidation": "Strict", "fieldManager": "kubectl-client-side-apply"}
        if dry_run:
            options |= {"dryRun": "All", "fieldManager": "kubectl-create"}
        else:
            thing = _applied(thing)
        namespace = meta.get("namespace") or "default"
        path = place.path("", namespace if place.namespaced else "")
        answer = self.ask("POST", path, options, thing)
        warned = "".join(f"Warning: {one}\n" for one in answer.warnings)
        if answer.status == 201:
            group = thing["apiVersion"].rpartition("/")[0]
            kind = thing["kind"].lower() + (f".{group}" if group else "")
            return Said(0, f"{kind}/{answer.body['metadata']['name']} created\n", warned)
        return Said(1, "", warned + _refusal(answer.body)) if answer.status in _REFUSALS else None

    def ask(
        self,
        method: str,
        path: str,
        options: dict[str, str],
        body: Any = None,
        content: str = _JSON,
        accept: str = _JSON,
    ) -> Answer:
        """Over the connection that is kept; the server may have closed it meanwhile."""
        headers = {"Accept": accept} | ({} if body is None else {"Content-Type": content})
        where = path + (f"?{urlencode(options)}" if options else "")
        text = None if body is None else json.dumps(body)
        for is_last in (False, True):
            link = getattr(self._kept, "link", None) or self._connection()
            self._kept.link = None
            try:
                link.request(method, where, text, headers)
                answer = link.getresponse()
                got = answer.read()
            except _STALE:
                link.close()
                if is_last:
                    raise
                continue
            except BaseException:
                link.close()
                raise
            self._kept.link = link
            warnings = tuple(map(_warning, answer.headers.get_all("Warning") or []))
            return Answer(answer.status, json.loads(got), warnings)
        raise AssertionError("unreachable")

    def _connection(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            "127.0.0.1", self._port, timeout=_PATIENCE, context=self._tls
        )

    def place(self, kind: str) -> Place:
        """Kinds may come later than the first question."""
        if kind not in self._places:
            found: dict[str, Place] = {}
            for root in ("/api", "/apis"):
                answer = self.ask("GET", root, {}, accept=_DISCOVERY)
                for group in answer.body.get("items", []) if answer.status == 200 else []:
                    _add(root, group, found)
            self._places = found
        if kind not in self._places:
            raise Unknown(kind)
        return self._places[kind]


def _add(root: str, group: dict[str, Any], found: dict[str, Place]) -> None:
    """What came first keeps a name that two groups have, as with kubectl; of versions the preferred."""
    name = group["metadata"].get("name", "")
    for version in group["versions"]:
        full = "/".join(one for one in (name, version["version"]) if one)
        for resource in version.get("resources", []):
            plural = resource["resource"]
            place = Place(f"{root}/{full}", plural, resource["scope"] == "Namespaced")
            kind = resource["responseKind"]["kind"]
            found.setdefault(f"{full}/{kind}", place)
            if version is not group["versions"][0]:
                continue
            singular = resource.get("singularResource") or kind.lower()
            for one in (plural, singular, *resource.get("shortNames", [])):
                found.setdefault(one, place)
                if name:
                    found.setdefault(f"{one}.{name}", place)


def _things(manifest: str) -> list[dict[str, Any]]:
    documents = map(json.loads, manifest.split("\n---\n"))
    return [
        thing
        for document in documents
        for thing in (document["items"] if document["kind"] == "List" else [document])
    ]


def _applied(thing: dict[str, Any]) -> dict[str, Any]:
    """With what a later `kubectl apply` asks for: what its author wrote last."""
    notes = thing["metadata"].get("annotations") or {}
    meta = thing["metadata"] | {"annotations": notes | {_APPLIED: json.dumps(thing) + "\n"}}
    return thing | {"metadata": meta}


def _is_missing(answer: Answer) -> bool:
    """The object, not its kind."""
    if answer.status != 404 or not isinstance(answer.body, dict):
        return False
    return answer.body.get("reason") == "NotFound" and bool(answer.body.get("details"))


def _refusal(status: dict[str, Any]) -> str:
    details, message = status.get("details"), str(status.get("message"))
    if status["reason"] != "Invalid":
        return f'Error from server ({status["reason"]}): error when creating "STDIN": {message}\n'
    if not details:
        return f"The request is invalid: {message}\n"
    causes = details.get("causes") or []
    reasons = [f"{one.get('field')}: {one.get('message')}" for one in causes]
    told = reasons[0] if len(reasons) == 1 else "".join(f"\n* {one}" for one in reasons)
    return f'The {details.get("kind")} "{details.get("name")}" is invalid: {told or message}\n'


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


def _warning(header: str) -> str:
    """RFC 9110's predecessor 7234, 5.5: code, agent, and the text in quotes."""
    text = header.partition('"')[2].rpartition('"')[0]
    return text.replace('\\"', '"').replace("\\\\", "\\")
