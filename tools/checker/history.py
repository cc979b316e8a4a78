"""Replays all that was ever written: an address held twice for a moment is still held twice."""

from __future__ import annotations

import base64
import json
import sys
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from checker import stored
from checker.facts import Block, Finding, plain
from checker.services import MANAGER

OURS = "/registry/multinet.dev/"
SETS = OURS + "podinterfacesets/"
BLOCKS = OURS + "ipblocks/"
PODS = "/registry/pods/"
SLICES = "/registry/endpointslices/"
NETWORK = "multinet.dev/network"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
ETCD = "http://127.0.0.1:2379/v3"

# Runs beside the store. A watch never ends by itself, so a mark is written and all that comes up to
# it is printed: first the mark's revision, then the watch's answers, a line each. The mark lies beyond
# the prefix: an API server that meets a key there that it can't decode drops its watchers and is
# blind for half a minute.
_READER = """
import base64, json, sys, urllib.request
etcd, prefix, mark, end = sys.argv[1:]
def encode(text):
    return base64.b64encode(text.encode()).decode()
def post(path, body):
    return urllib.request.urlopen(etcd + path, json.dumps(body).encode(), 20)
print(json.load(post("/kv/put", {"key": encode(mark), "value": ""}))["header"]["revision"])
post("/kv/deleterange", {"key": encode(mark)})
order = {"key": encode(prefix), "range_end": encode(end), "start_revision": "1"}
for line in post("/watch", {"create_request": order}):
    sys.stdout.write(line.decode())
    if encode(mark) in line.decode():
        sys.exit(0)
sys.exit("the watch ended before its mark came")
"""

Run = Callable[[Sequence[str]], str]


@dataclass(frozen=True)
class Event:
    revision: int
    key: str
    body: dict[str, Any] | None  # None: deleted. Pods have an empty one; slices: stored.slice_of()


def duplicates(events: Iterable[Event]) -> list[Finding]:
    """Walks through the revisions and reports each one that broke uniqueness."""
    holders: dict[tuple[str, str], str] = {}  # (network, address) -> key of the set
    owners: dict[str, str] = {}  # key of a set -> namespace/name of its pod
    blocks: dict[str, Block] = {}
    found: list[Finding] = []
    for event in sorted(events, key=lambda entry: entry.revision):
        if event.key.startswith(PODS) and event.body is None:
            gone = event.key.removeprefix(PODS)
            holders = {what: key for what, key in holders.items() if owners[key] != gone}
        elif event.key.startswith(SETS):
            holders = {what: key for what, key in holders.items() if key != event.key}
            owners[event.key] = _owner(event)
            for what in _held(event.body or {}):
                if what in holders:
                    text = f"{what[1]} of network {what[0]} is held by {holders[what]} and by "
                    text += f"{event.key} from revision {event.revision}"
                    found.append(Finding("duplicate-address-in-history", text))
                holders[what] = event.key
        elif event.key.startswith(BLOCKS):
            found += _lease(blocks, event)
    return found


def endpoints(events: Iterable[Event]) -> list[Finding]:
    """Whenever a slice of ours was written each endpoint had its address by its pod's set, and no other pod had it."""
    had: set[tuple[str, str, str]] = set()  # network, address, UID of the pod
    holders: dict[tuple[str, str], str] = {}  # network, address -> UID of the pod that got it last
    found = []
    for event in sorted(events, key=lambda entry: entry.revision):
        body = event.body or {}
        if event.key.startswith(SETS):
            uid = body.get("pod", {}).get("uid", "")
            for what in _held(body):
                had.add((*what, uid))
                holders[what] = uid
        elif event.key.startswith(SLICES) and body.get("labels", {}).get(MANAGED_BY) == MANAGER:
            network = body["labels"].get(NETWORK, "")
            for one in body["endpoints"]:
                for address in one["addresses"]:
                    if (network, address, one["uid"]) not in had:
                        text = (
                            f"{event.key} names {address} of pod {one['uid']}, which never had it"
                        )
                    elif holders[network, address] != one["uid"]:
                        text = f"{event.key} names {address} of pod {one['uid']}, which another has"
                    else:
                        continue
                    text += f", from revision {event.revision}"
                    found.append(Finding("untrue-endpoint-in-history", text))
    return found


def _lease(blocks: dict[str, Block], event: Event) -> list[Finding]:
    name = event.key.removeprefix(BLOCKS)
    if event.body is None:
        blocks.pop(name, None)
        return []
    block = Block(name, "")
    rivals = [
        other.name
        for other in blocks.values()
        if other.name != name
        and other.network == block.network
        and other.prefix.version == block.prefix.version
        and other.prefix.overlaps(block.prefix)  # type: ignore[arg-type]
    ]
    blocks[name] = block
    text = f"{name} overlaps {', '.join(rivals)} from revision {event.revision}"
    return [Finding("overlapping-blocks-in-history", text)] if rivals else []


def _held(body: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (interface["podNetworkName"], plain(entry["address"]))
        for interface in body.get("interfaces", [])
        for entry in interface.get("ips", [])
    ]


def _owner(event: Event) -> str:
    namespace = event.key.removeprefix(SETS).partition("/")[0]
    return f"{namespace}/{(event.body or {}).get('pod', {}).get('name', '')}"


def read(run: Run) -> list[Event]:
    """All events of our objects, of pods and of slices since the store was made. `run` runs a command on the
    control plane's machine and returns what it printed."""
    return [*_watch(run, OURS), *_watch(run, PODS), *_watch(run, SLICES)]


def _watch(run: Run, prefix: str) -> list[Event]:
    beyond, end = (f"{prefix[:-1]}{chr(ord(prefix[-1]) + steps)}" for steps in (1, 2))
    out = run([sys.executable, "-c", _READER, ETCD, prefix, f"{beyond}checker-{uuid.uuid4()}", end])
    mark, *lines = out.splitlines()
    events = [event for line in lines for event in _events(line)]
    return [event for event in events if event.revision < int(mark)]


def _events(line: str) -> list[Event]:
    result = json.loads(line).get("result", {})
    if result.get("canceled"):
        raise RuntimeError(f"watch: ended by the store: {result.get('cancel_reason', line)}")
    events = []
    for entry in result.get("events", []):
        key = base64.b64decode(entry["kv"]["key"]).decode()
        deleted = entry.get("type") == "DELETE"
        body: dict[str, Any] | None = None if deleted else {}
        if not deleted and key.startswith(OURS) and entry["kv"].get("value"):
            body = json.loads(base64.b64decode(entry["kv"]["value"]))
        elif not deleted and key.startswith(SLICES):
            body = stored.slice_of(base64.b64decode(entry["kv"].get("value", "")))
        events.append(Event(int(entry["kv"]["mod_revision"]), key, body))
    return events
