"""The rules: pure functions from facts to findings. No finding means that all views agree."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from checker.facts import LIVE_STATES, Facts, Intent, Interface, Link, Sandbox, plain


@dataclass(frozen=True)
class Finding:
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.text}"


def check(facts: Facts) -> list[Finding]:
    """All findings, in a stable order."""
    found: list[Finding] = []
    for rule in (_links, _attached, _addresses, _pods, _sets, _blocks):
        found += rule(facts)
    return sorted(set(found), key=str)


def _links(facts: Facts) -> Iterator[Finding]:
    """Each link of ours belongs to an intent that is under way or attached."""
    live = {(intent.node, intent.id) for intent in facts.intents if intent.state in LIVE_STATES}
    for link in facts.links:
        if (link.node, link.intent) not in live:
            yield Finding("leaked-link", f"{link.title} is of intent {link.intent}, which is over")


def _attached(facts: Facts) -> Iterator[Finding]:
    """What the journal calls attached is in the sandbox, with just these addresses."""
    sandboxes = {(entry.node, entry.id): entry for entry in facts.sandboxes}
    of_intent: dict[tuple[str, str], list[Link]] = defaultdict(list)
    for link in facts.links:
        if link.netns:
            of_intent[link.node, link.intent].append(link)
    for intent in facts.intents:
        if intent.state != "ATTACHED":
            continue
        sandbox = sandboxes.get((intent.node, intent.sandbox))
        if sandbox is None:
            yield Finding(
                "lost-sandbox", f"intent {intent.id} of {intent.pod}: no sandbox {intent.sandbox}"
            )
            continue
        if sandbox.ready:  # the namespace of one that died is gone, and its links with it
            yield from _compare(intent, sandbox, of_intent[intent.node, intent.id])


def _compare(intent: Intent, sandbox: Sandbox, links: list[Link]) -> Iterator[Finding]:
    where = f"pod {intent.pod} on {intent.node}"
    for wanted in intent.interfaces:
        matching = [link for link in links if link.interface == wanted.name]
        if len(matching) != 1:
            text = f"{where}: {len(matching)} links of {wanted.name}, want 1"
            yield Finding("interface-count", text)
        for link in matching:
            yield from _compare_link(where, sandbox, wanted, link)
    names = {wanted.name for wanted in intent.interfaces}
    for link in links:
        if link.interface not in names:
            yield Finding("surplus-interface", f"{where}: {link.title} wasn't asked for")


def _compare_link(where: str, sandbox: Sandbox, wanted: Interface, link: Link) -> Iterator[Finding]:
    if link.netns != sandbox.netns:
        yield Finding("wrong-namespace", f"{where}: {link.title}, want {sandbox.netns}")
    if link.name != wanted.name:
        yield Finding("wrong-name", f"{where}: {link.title}, want {wanted.name}")
    if wanted.mac and link.mac != wanted.mac:
        yield Finding("wrong-mac", f"{where}: {link.title} has {link.mac}, want {wanted.mac}")
    has, want = set(link.addresses), set(wanted.addresses)
    for address in sorted(want - has):
        yield Finding("missing-address", f"{where}: {link.title} lacks {address}")
    for address in sorted(has - want):
        yield Finding("leaked-address", f"{where}: {link.title} has {address}, which isn't planned")


def _addresses(facts: Facts) -> Iterator[Finding]:
    """An address of a network has one holder, on whatever node, in journals as in sets."""
    holders: dict[tuple[str, str], set[str]] = defaultdict(set)
    for intent in facts.intents:
        if intent.state in LIVE_STATES:
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


def _shape(interfaces: tuple[Interface, ...]) -> list[tuple[str, str, tuple[str, ...]]]:
    return sorted((i.name, i.network, tuple(sorted(i.addresses))) for i in interfaces)


def _leased(facts: Facts, network: str, address: str, node: str) -> bool:
    wanted = ipaddress.ip_interface(address).ip
    return any(
        block.network == network and block.node in ("", node) and wanted in block.prefix
        for block in facts.blocks
    )


def _blocks(facts: Facts) -> Iterator[Finding]:
    """Blocks of one network don't overlap."""
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
