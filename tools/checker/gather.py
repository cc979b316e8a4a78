"""Asks the API server, the runtimes, the kernel and the journals of a cluster that is up."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from checker import history, maps
from checker.facts import (
    ALIAS,
    NETWORK_ALIAS,
    Block,
    Device,
    Endpoint,
    Facts,
    Intent,
    Interface,
    InterfaceSet,
    Link,
    Network,
    Pod,
    Sandbox,
    Service,
    Slice,
)
from clusterlib.cluster import Cluster
from clusterlib.inside import enter
from collectlib.node import NAMESPACES

REQUEST = "multinet.dev/networks"
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
JOURNAL = "lib/multinet/journal.db"
STATES = {  # journal::State
    1: "INTENT",
    2: "BOUND",
    3: "ATTACHED",
    4: "DETACHING",
    5: "DETACHED",
    6: "ROLLBACK",
}
_COMMAND_SECONDS = 60
DEFAULT_PORT = 4799
# One process a node: lines of "netns path", each followed by a line of JSON.
_LINKS = f"""
echo; ip -j -d address
for netns in $({NAMESPACES}); do
  echo "$netns" && nsenter --net="$netns" ip -j -d address
done
true
"""
# The same of the pods' routes, whatever their table. A namespace without IPv6 has none to print.
_ROUTES = f"""
for netns in $({NAMESPACES}); do
  for family in -4 -6; do
    echo "$netns"
    nsenter --net="$netns" ip $family -j route show table all type unicast | grep . || echo '[]'
  done
done
true
"""
_GUARD = "nft -j list table inet multinet 2>&- || true"
# Of each namespace that has one, a line of its path, and one of JSON.
_ISOLATED = f"""
for netns in $({NAMESPACES}) /proc/self/ns/net; do
  for family in bridge inet; do
    set=$(nsenter --net="$netns" nft -j list set $family multinet-policy isolated 2>&-) || continue
    echo "$netns"; echo "$set"
  done
done
true
"""
# All at once, the first twice so that there are always several; one may end in between.
_SANDBOXES = """
ids=$(crictl pods -q)
[ -n "$ids" ] || exit 0
one='{{.status.id}} {{.status.metadata.uid}} {{.status.state}} {{range .info.runtimeSpec.linux.namespaces}}{{if eq .type "network"}}{{.path}}{{end}}{{end}}{{println}}'
inspect() { crictl inspectp -o go-template --template "$@"; }
if all=$(inspect "{{range .}}$one{{end}}" $ids ${ids%%[[:space:]]*}); then
  echo "$all" | sort -u
else
  for id in $ids; do inspect "$one" "$id"; done
fi
true
"""


class CannotCheck(RuntimeError):
    """Something didn't answer: nothing is proven."""


def gather(cluster: Cluster) -> Facts:
    """The facts of now. Take them when the cluster rests; what is under way looks like a fault."""
    facts = Facts()
    objects = cluster.objects()

    def every(kind: str) -> list[dict[str, Any]]:
        found = objects.get(kind)
        if found is None:
            raise CannotCheck(f"list {kind}: the API server didn't answer")
        return list(found["items"])

    def ours(plural: str) -> list[dict[str, Any]]:
        kind = f"{plural}.multinet.dev"
        return [] if objects.serves(kind) is False else every(kind)

    facts.pods = [pod(entry) for entry in every("pods") if _lives(entry)]
    facts.networks = [network(entry) for entry in ours("podnetworks")]
    facts.sets = [interface_set(entry) for entry in ours("podinterfacesets")]
    facts.blocks = [block(entry) for entry in ours("ipblocks")]
    facts.node_sets = {entry["metadata"]["name"] for entry in ours("nodenetworksets")}
    cores = every("services")
    facts.services = [service(entry, cores) for entry in ours("podnetworkservices")]
    facts.slices = [endpoint_slice(entry) for entry in every("endpointslices")]
    with ThreadPoolExecutor(max_workers=2) as pool:
        for seen in pool.map(lambda name: _node(cluster, name), cluster.nodes):
            facts.links += seen.links
            facts.devices += seen.devices
            facts.sandboxes += seen.sandboxes
            facts.intents += seen.intents
            facts.guarded |= seen.guarded
            facts.isolated |= seen.isolated
            facts.agents |= seen.agents
            facts.maps |= seen.maps
    return facts


def replay(cluster: Cluster) -> list[history.Event]:
    """The history of the store."""
    return history.read(lambda command: _inside(cluster, "cp", command))


def _lives(entry: dict[str, Any]) -> bool:
    return entry.get("status", {}).get("phase") not in ("Succeeded", "Failed")


def pod(entry: dict[str, Any]) -> Pod:
    meta, status = entry["metadata"], entry.get("status", {})
    conditions = {c["type"]: c["status"] for c in status.get("conditions", [])}
    return Pod(
        meta["uid"],
        meta["namespace"],
        meta["name"],
        entry["spec"].get("nodeName", ""),
        meta.get("annotations", {}).get(REQUEST, ""),
        conditions.get("Ready") == "True" and "deletionTimestamp" not in meta,
        tuple(address["ip"] for address in status.get("podIPs", [])),
        frozenset(meta.get("labels", {}).items()),
        "deletionTimestamp" in meta,
    )


def service(entry: dict[str, Any], cores: list[dict[str, Any]]) -> Service:
    """`cores`: all of core's Services, of which one may be its own."""
    meta, spec = entry["metadata"], entry["spec"]
    own = next(
        (
            one
            for one in cores
            if one["metadata"]["namespace"] == meta["namespace"]
            and meta["uid"] in [by["uid"] for by in one["metadata"].get("ownerReferences", [])]
        ),
        None,
    )
    made: dict[str, Any] = {} if own is None else own["spec"]
    has_endpoints = own is not None and made["type"] != "ExternalName"
    return Service(
        meta["uid"],
        meta["namespace"],
        meta["name"],
        spec["podNetworkName"],
        frozenset(spec.get("selector", {}).items()),
        spec.get("publishNotReadyAddresses", False),
        own["metadata"]["uid"] if own is not None and has_endpoints else "",
        tuple(one for one in made.get("clusterIPs", []) if one != "None") if has_endpoints else (),
        tuple(made.get("ipFamilies", [])) if has_endpoints else (),
        tuple(
            (one.get("name", ""), one.get("protocol", "TCP"), one["port"])
            for one in made.get("ports", [])
        ),
        made.get("internalTrafficPolicy") == "Local",
    )


def endpoint_slice(entry: dict[str, Any]) -> Slice:
    meta = entry["metadata"]
    labels = meta.get("labels", {})
    owners = [one["uid"] for one in meta.get("ownerReferences", [])]
    return Slice(
        meta["namespace"],
        meta["name"],
        labels.get(SERVICE_NAME, ""),
        owners[0] if owners else "",
        labels.get(MANAGED_BY, ""),
        entry["addressType"],
        tuple(
            Endpoint(
                one.get("targetRef", {}).get("uid", ""),
                one["addresses"][0],
                one.get("nodeName", ""),
                one["conditions"].get("ready", True),
                one["conditions"].get("serving", True),
                one["conditions"].get("terminating", False),
                bool(one.get("hints")),
            )
            for one in entry.get("endpoints") or []
        ),
        tuple(
            (one.get("name", ""), one.get("protocol", "TCP"), one.get("port", 0))
            for one in entry.get("ports") or []
        ),
    )


def interface_set(entry: dict[str, Any]) -> InterfaceSet:
    meta = entry["metadata"]
    interfaces = tuple(
        Interface(
            one["name"],
            one["podNetworkName"],
            tuple(address["address"] for address in one.get("ips", [])),
            one.get("mac", ""),
            one.get("mtu", 0),
            one.get("linkState", ""),
            one.get("type", ""),
            held=policy.get("where", "") if policy.get("enforced") else "",
        )
        for one in entry.get("interfaces", [])
        for policy in [one.get("policy", {})]
    )
    owner = entry["pod"]
    return InterfaceSet(
        meta["namespace"], meta["name"], owner["name"], owner["uid"], entry["nodeName"], interfaces
    )


def network(entry: dict[str, Any]) -> Network:
    meta, spec = entry["metadata"], entry["spec"]
    conditions = entry.get("status", {}).get("conditions", [])
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    port = spec.get("vxlan", {}).get("port", DEFAULT_PORT) if spec["type"] == "VXLAN" else 0
    return Network(meta["name"], meta["uid"], ready, port)


def block(entry: dict[str, Any]) -> Block:
    spec = entry.get("spec", entry)
    return Block(entry["metadata"]["name"], spec.get("nodeName", ""), spec.get("podNetworkUID", ""))


def _dumps(text: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Each namespace that the script printed, and what it printed of it."""
    lines = text.splitlines()
    for netns, dump in zip(lines[::2], lines[1::2], strict=True):
        yield netns, json.loads(dump)


def _dumped(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The namespace and the fields of each link that the script printed."""
    for netns, entries in _dumps(text):
        for entry in entries:
            yield netns, entry


Routes = dict[tuple[str, str], set[str]]


def routes(text: str) -> Routes:
    """The destinations that are reached by each link, by its namespace and name."""
    found: Routes = {}
    # Each namespace is printed twice, once a family.
    for number, (netns, entries) in enumerate(_dumps(text)):
        everywhere, host = ("::/0", "/128") if number % 2 else ("0.0.0.0/0", "/32")
        for entry in entries:
            where = found.setdefault((netns, entry.get("dev", "")), set())
            to = everywhere if entry["dst"] == "default" else str(entry["dst"])
            where.add(to if "/" in to else to + host)
    return found


def links(node: str, text: str, ways: Routes | None = None) -> list[Link]:
    """Ours among the links that the script printed, those of pods."""
    found = []
    for netns, entry in _dumped(text):
        alias = entry.get("ifalias", "")
        if not alias.startswith(ALIAS):
            continue
        intent, _, interface = alias.removeprefix(ALIAS).rpartition(":")
        addresses = tuple(
            f"{one['local']}/{one['prefixlen']}"
            for one in entry.get("addr_info", [])
            if one.get("scope") != "link"
        )
        found.append(
            Link(
                node,
                netns,
                entry["ifname"],
                entry.get("address", ""),
                intent,
                interface,
                addresses,
                up="UP" in entry.get("flags", []),
                carrier="LOWER_UP" in entry.get("flags", []),
                mtu=entry.get("mtu", 0),
                master=entry.get("master", ""),
                routes=frozenset((ways or {}).get((netns, entry["ifname"]), ())),
            )
        )
    return found


def devices(node: str, text: str) -> list[Device]:
    """Ours among the links that the script printed, those of networks."""
    found = []
    for netns, entry in _dumped(text):
        alias = entry.get("ifalias", "")
        if not alias.startswith(NETWORK_ALIAS):
            continue
        info = entry.get("linkinfo", {})
        found.append(
            Device(
                node,
                netns,
                entry["ifname"],
                alias.removeprefix(NETWORK_ALIAS),
                info.get("info_kind", ""),
                "UP" in entry.get("flags", []),
                entry.get("master", ""),
                info.get("info_data", {}).get("port", 0),
            )
        )
    return found


def guarded(text: str) -> set[int]:
    """The ports in sets of ports of the table that was printed; none without a table."""
    entries = json.loads(text)["nftables"] if text.strip() else []
    sets = [entry["set"] for entry in entries if "set" in entry]
    elements = [
        one for each in sets if each["type"] == "inet_service" for one in each.get("elem", [])
    ]
    return {one for one in elements if isinstance(one, int)}


def isolated(node: str, text: str) -> dict[tuple[str, str], frozenset[str]]:
    """The elements of the sets that were printed; of the node's own namespace the path is empty."""
    found = {}
    lines = text.splitlines()
    for netns, dump in zip(lines[::2], lines[1::2], strict=True):
        where = netns if netns.startswith("/run/") else ""
        for entry in json.loads(dump)["nftables"]:
            if "set" in entry:
                found[node, where] = frozenset(entry["set"].get("elem", []))
    return found


def sandboxes(node: str, text: str) -> list[Sandbox]:
    found = []
    for line in text.splitlines():
        if line.strip():
            identity, uid, state, netns = (*line.split(), "")[:4]
            netns = netns.replace("/var/run/", "/run/")
            found.append(Sandbox(node, identity, uid, state == "SANDBOX_READY", netns))
    return found


def intents(node: str, rows: list[dict[str, str]]) -> list[Intent]:
    """The records of a journal, whose schema is in nodeagent/journal."""
    found = []
    for row in rows:
        record = json.loads(row["record"])
        interfaces = tuple(
            Interface(
                one["name"],
                one["network"],
                tuple(address["address"] for address in one["addresses"]),
                one["mac"],
                one.get("mtu", 0),
                type=one.get("type", ""),
                network_uid=one.get("networkUID", ""),
                parent=one.get("parent", ""),
                routes=_planned_routes(one),
            )
            for one in record["interfaces"]
        )
        owner = record["pod"]
        title = f"{owner['namespace']}/{owner['name']}"
        state = STATES.get(record["state"], f"state {record['state']}")
        found.append(
            Intent(
                node,
                row["id"],
                owner["uid"],
                title,
                record["sandbox"],
                state,
                interfaces,
                doubted=bool(record.get("doubt", "")),  # what isn't sure; empty: nothing
                released=state == "ROLLBACK" and record.get("restsUntil", 0) != 0,
            )
        )
    return found


def _planned_routes(interface: dict[str, Any]) -> tuple[str, ...]:
    planned = [one["to"] for one in interface.get("routes", [])]
    planned += ["0.0.0.0/0"] if interface.get("defaultGatewayV4") else []
    planned += ["::/0"] if interface.get("defaultGatewayV6") else []
    return tuple(planned)


def _node(cluster: Cluster, name: str) -> Facts:
    machine = cluster.layout.machine(name)
    node = machine.host_name
    seen = Facts()
    if (machine.var / JOURNAL).exists():
        query = ["sqlite3", "-json", "-readonly", f"/var/{JOURNAL}"]
        rows = json.loads(_inside(cluster, name, [*query, "SELECT id, record FROM intent"]) or "[]")
        seen.intents = intents(node, rows)
        seen.agents = {node}
    dump = _inside(cluster, name, ["bash", "-c", _LINKS])
    ways = routes(_inside(cluster, name, ["bash", "-c", _ROUTES]))
    seen.links = links(node, dump, ways)
    seen.devices = devices(node, dump)
    seen.guarded = {node: guarded(_inside(cluster, name, ["bash", "-c", _GUARD]))}
    seen.isolated = isolated(node, _inside(cluster, name, ["bash", "-c", _ISOLATED]))
    seen.sandboxes = sandboxes(node, _inside(cluster, name, ["bash", "-c", _SANDBOXES]))
    translated = maps.decode(_inside(cluster, name, maps.READER))
    seen.maps = {} if translated is None else {node: translated}
    return seen


def _inside(cluster: Cluster, name: str, command: Sequence[str]) -> str:
    _, pid = cluster.machine(name)
    environment = {
        "PATH": cluster.programs.path(),
        "CONTAINER_RUNTIME_ENDPOINT": "unix:///run/containerd/containerd.sock",
    }
    return _run(enter(pid, command), environment)


def _run(command: Sequence[str], environment: dict[str, str] | None) -> str:
    done = subprocess.run(
        list(command),
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_COMMAND_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise CannotCheck(f"run {' '.join(command)[:200]}: {done.stderr.strip()[-300:]}")
    return done.stdout
