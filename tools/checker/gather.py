"""Asks the API server, the runtimes, the kernel and the journals of a cluster that is up."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from checker import history
from checker.facts import ALIAS, Block, Facts, Intent, Interface, InterfaceSet, Link, Pod, Sandbox
from clusterlib.cluster import Cluster
from clusterlib.inside import enter

REQUEST = "multinet.dev/networks"
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
# One process a node: lines of "netns path", each followed by a line of JSON.
_LINKS = """
echo; ip -j -d address
switch=/run/multinet/switch
[ -e $switch ] && echo && nsenter --net=$switch ip -j -d address
for netns in /run/netns/*; do
  [ -e "$netns" ] && echo "$netns" && nsenter --net="$netns" ip -j -d address
done
true
"""
_SANDBOXES = """
for id in $(crictl pods -q); do
  crictl inspectp -o go-template --template \
    '{{.status.id}} {{.status.metadata.uid}} {{.status.state}} {{range .info.runtimeSpec.linux.namespaces}}{{if eq .type "network"}}{{.path}}{{end}}{{end}}' \
    "$id" && echo
done
true
"""


class CannotCheck(RuntimeError):
    """Something didn't answer: nothing is proven."""


def gather(cluster: Cluster) -> Facts:
    """The facts of now. Take them when the cluster rests; what is under way looks like a fault."""
    facts = Facts()
    served = _kubectl(cluster, "api-resources", "--api-group=multinet.dev", "-o", "name").split()
    facts.pods = [pod(entry) for entry in _items(cluster, "pods") if _lives(entry)]
    if "podinterfacesets.multinet.dev" in served:
        facts.sets = [interface_set(e) for e in _items(cluster, "podinterfacesets.multinet.dev")]
    if "ipblocks.multinet.dev" in served:
        facts.blocks = [block(entry) for entry in _items(cluster, "ipblocks.multinet.dev")]
    with ThreadPoolExecutor(max_workers=2) as pool:
        for links, sandboxes, intents in pool.map(lambda name: _node(cluster, name), cluster.nodes):
            facts.links += links
            facts.sandboxes += sandboxes
            facts.intents += intents
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
    )


def interface_set(entry: dict[str, Any]) -> InterfaceSet:
    meta = entry["metadata"]
    interfaces = tuple(
        Interface(
            one["name"],
            one["podNetworkName"],
            tuple(address["address"] for address in one.get("ips", [])),
            one.get("mac", ""),
        )
        for one in entry.get("interfaces", [])
    )
    owner = entry["pod"]
    return InterfaceSet(
        meta["namespace"], meta["name"], owner["name"], owner["uid"], entry["nodeName"], interfaces
    )


def block(entry: dict[str, Any]) -> Block:
    return Block(entry["metadata"]["name"], entry.get("spec", entry).get("nodeName", ""))


def links(node: str, text: str) -> list[Link]:
    """Ours among the links that the script printed."""
    found = []
    lines = text.splitlines()
    for netns, dump in zip(lines[::2], lines[1::2], strict=True):
        for entry in json.loads(dump):
            alias = entry.get("ifalias", "")
            if not alias.startswith(ALIAS):
                continue
            intent, _, interface = alias.removeprefix(ALIAS).rpartition(":")
            addresses = tuple(
                f"{one['local']}/{one['prefixlen']}"
                for one in entry.get("addr_info", [])
                if one.get("scope") != "link"
            )
            name, mac = entry["ifname"], entry.get("address", "")
            found.append(Link(node, netns, name, mac, intent, interface, addresses))
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
            )
            for one in record["interfaces"]
        )
        owner = record["pod"]
        title = f"{owner['namespace']}/{owner['name']}"
        state = STATES[record["state"]]
        found.append(
            Intent(node, row["id"], owner["uid"], title, record["sandbox"], state, interfaces)
        )
    return found


def _node(cluster: Cluster, name: str) -> tuple[list[Link], list[Sandbox], list[Intent]]:
    machine = cluster.layout.machine(name)
    node = machine.host_name
    rows: list[dict[str, str]] = []
    if (machine.var / JOURNAL).exists():
        query = ["sqlite3", "-json", "-readonly", f"/var/{JOURNAL}"]
        rows = json.loads(_inside(cluster, name, [*query, "SELECT id, record FROM intent"]) or "[]")
    return (
        links(node, _inside(cluster, name, ["bash", "-c", _LINKS])),
        sandboxes(node, _inside(cluster, name, ["bash", "-c", _SANDBOXES])),
        intents(node, rows),
    )


def _items(cluster: Cluster, kind: str) -> list[dict[str, Any]]:
    return list(json.loads(_kubectl(cluster, "get", kind, "-A", "-o", "json"))["items"])


def _kubectl(cluster: Cluster, *args: str) -> str:
    program = str(cluster.programs.kubernetes / "kubectl")
    return _run([program, f"--kubeconfig={cluster.layout.kubeconfig}", *args], None)


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
