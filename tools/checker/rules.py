"""The rules: pure functions from facts to findings. No finding means that all views agree."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterator

from checker import kernel, policies, services
from checker.facts import LIVE_STATES, Facts, Finding, Interface, plain

_RULES = (
    kernel.leaked,
    kernel.attached,
    kernel.told,
    kernel.twins,
    kernel.devices,
    policies.held,
    policies.leaked,
    services.slices,
    services.endpoints,
    services.maps,
)


def check(facts: Facts) -> list[Finding]:
    """All findings, in a stable order."""
    found: list[Finding] = []
    for rule in (*_RULES, _addresses, _intents, _pods, _sets, _blocks, _nodes):
        found += rule(facts)
    return sorted(set(found), key=str)


def _addresses(facts: Facts) -> Iterator[Finding]:
    """An address of a network has one holder, on whatever node, in journals as in sets."""
    holders: dict[tuple[str, str], set[str]] = defaultdict(set)
    for intent in facts.intents:
        if intent.state in LIVE_STATES and not intent.released:
            for interface in intent.interfaces:
                for address in interface.addresses:
                    holders[interface.network, plain(address)].add(intent.uid)
    live = {pod.uid for pod in facts.pods}
    for entry in facts.sets:
        if entry.uid in live:
            for interface in entry.interfaces:
                for address in interface.addresses:
                    holders[interface.network, plain(address)].add(entry.uid)
    for (network, address), uids in sorted(holders.items()):
        if len(uids) > 1:
            text = f"{address} of network {network} is held by pods {', '.join(sorted(uids))}"
            yield Finding("duplicate-address", text)


def _intents(facts: Facts) -> Iterator[Finding]:
    """A journal knows every sandbox that asks, is sure of what it knows, and holds addresses of
    its node's blocks."""
    live = [intent for intent in facts.intents if intent.state in LIVE_STATES]
    known = {(intent.node, intent.uid) for intent in live}
    asking = {pod.uid: pod for pod in facts.pods if pod.request}
    for sandbox in facts.sandboxes:
        pod = asking.get(sandbox.uid)
        if pod is not None and sandbox.ready and (sandbox.node, sandbox.uid) not in known:
            text = f"pod {pod.title} asks, and no journal knows its sandbox {sandbox.id[:13]}"
            yield Finding("unknown-sandbox", text)
    for intent in live:
        if intent.doubted:
            yield Finding("doubt", f"the journal of {intent.node} isn't sure of pod {intent.pod}")
        if intent.state != "ATTACHED":
            continue
        for interface in intent.interfaces:
            for address in interface.addresses:
                if not _leased(facts, interface.network, address, intent.node):
                    text = f"pod {intent.pod}: {address} lies in no block of {intent.node}"
                    yield Finding("address-without-block", text)


def _pods(facts: Facts) -> Iterator[Finding]:
    """A Ready pod that asks has one attached intent and one set; no pod shows our addresses as its
    own."""
    ours = {
        plain(address)
        for intent in facts.intents
        for interface in intent.interfaces
        for address in interface.addresses
    }
    for pod in facts.pods:
        for address in pod.addresses:
            if address in ours:
                text = f"pod {pod.title} has {address} in status.podIPs"
                yield Finding("address-in-status", text)
        if not pod.ready:
            continue
        attached = [i for i in facts.intents if i.uid == pod.uid and i.state == "ATTACHED"]
        sets = [entry for entry in facts.sets if entry.uid == pod.uid]
        if pod.request and len(attached) != 1:
            text = f"pod {pod.title} is Ready with {len(attached)} attached intents, want 1"
            yield Finding("pod-without-networks", text)
        if pod.request and len(sets) != 1:
            yield Finding("set-count", f"pod {pod.title} has {len(sets)} interface sets, want 1")


def _sets(facts: Facts) -> Iterator[Finding]:
    """A set tells what its node's journal says, of a pod that lives there, from that node's
    blocks."""
    pods = {pod.uid: pod for pod in facts.pods}
    attached = {i.uid: i for i in facts.intents if i.state == "ATTACHED"}
    for entry in facts.sets:
        pod = pods.get(entry.uid)
        if pod is None or pod.node != entry.node:
            text = f"set {entry.title}: no live pod {entry.pod} of UID {entry.uid} on {entry.node}"
            yield Finding("stale-set", text)
            continue
        intent = attached.get(entry.uid)
        if intent is not None and _shape(intent.interfaces) != _shape(entry.interfaces):
            text = (
                f"set {entry.title} has {_shape(entry.interfaces)}, "
                f"the journal of {intent.node} {_shape(intent.interfaces)}"
            )
            yield Finding("wrong-set", text)
        for interface in entry.interfaces:
            for address in interface.addresses:
                if not _leased(facts, interface.network, address, entry.node):
                    text = f"set {entry.title}: {address} lies in no block of {entry.node}"
                    yield Finding("address-without-block", text)


_Shape = tuple[str, str, tuple[str, ...], str, int]


def _shape(interfaces: tuple[Interface, ...]) -> list[_Shape]:
    return sorted((i.name, i.network, tuple(sorted(i.addresses)), i.mac, i.mtu) for i in interfaces)


def _leased(facts: Facts, network: str, address: str, node: str) -> bool:
    wanted = ipaddress.ip_interface(address).ip
    return any(
        block.network == network and block.node in ("", node) and wanted in block.prefix
        for block in facts.blocks
    )


def _blocks(facts: Facts) -> Iterator[Finding]:
    """Blocks are of networks that there are, and don't overlap within one. A node that is away keeps
    its blocks for a while: nobody can say that it doesn't use them."""
    networks = {network.uid for network in facts.networks}
    nodes = {entry.node for entry in facts.sandboxes} | facts.node_sets
    held = {
        interface.network_uid
        for intent in facts.intents
        if intent.state in (*LIVE_STATES, "DETACHED")
        for interface in intent.interfaces
    }
    for block in facts.blocks:
        uid = block.network_uid
        if uid and uid not in networks and uid not in held and block.node in nodes:
            text = f"{block.name} of {block.node} is of network {uid}, which is gone"
            yield Finding("leaked-block", text)
    groups: dict[tuple[str, int], list[tuple[int, int, str]]] = defaultdict(list)
    for block in facts.blocks:
        prefix = block.prefix
        span = (int(prefix.network_address), int(prefix.broadcast_address), block.name)
        groups[block.network, prefix.version].append(span)
    for spans in groups.values():
        spans.sort()
        last = spans[0]
        for span in spans[1:]:
            if span[0] <= last[1]:
                yield Finding("overlapping-blocks", f"{last[2]} and {span[2]}")
            last = max(last, span, key=lambda entry: entry[1])


def _nodes(facts: Facts) -> Iterator[Finding]:
    """Each node with an agent reports on the networks that there are."""
    if any(network.ready for network in facts.networks):
        for node in sorted(facts.agents - facts.node_sets):
            yield Finding("missing-node-set", f"node {node} has no NodeNetworkSet")
