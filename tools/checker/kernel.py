"""Rules about links: what journals and sets say of them is so in the kernel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from checker.facts import (
    LIVE_STATES,
    Device,
    Facts,
    Finding,
    Intent,
    Interface,
    Link,
    Sandbox,
    connected,
)

BRIDGED = ("VXLAN", "Bridge")


def leaked(facts: Facts) -> Iterator[Finding]:
    """Each link of ours belongs to an intent that is under way or attached, or to the gateway of a
    network that there is."""
    live = {(intent.node, intent.id) for intent in facts.intents if intent.state in LIVE_STATES}
    gateways = {f"gateway-{network.uid}" for network in facts.networks}
    for link in facts.links:
        if (link.node, link.intent) not in live and link.intent not in gateways:
            yield Finding("leaked-link", f"{link.title} is of intent {link.intent}, which is over")


def attached(facts: Facts) -> Iterator[Finding]:
    """What the journal calls attached is in the sandbox, with just these addresses, and its other
    end is in its network's bridge."""
    sandboxes = {(entry.node, entry.id): entry for entry in facts.sandboxes}
    of_intent: dict[tuple[str, str], list[Link]] = defaultdict(list)
    for link in facts.links:
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
            links = of_intent[intent.node, intent.id]
            yield from _compare(intent, sandbox, [link for link in links if link.in_pod])
            yield from _other_ends(intent, [link for link in links if not link.in_pod], facts)


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
    if wanted.mtu and link.mtu != wanted.mtu:
        yield Finding("wrong-mtu", f"{where}: {link.title} has {link.mtu}, want {wanted.mtu}")
    if not link.up:
        yield Finding("link-down", f"{where}: {link.title} is down")
    has, want = set(link.addresses), set(wanted.addresses)
    ways = {connected(address) for address in has & want} | set(wanted.routes)
    for destination in sorted(ways - link.routes - {""}) if link.up else ():
        yield Finding("missing-route", f"{where}: {link.title} has no route to {destination}")
    for address in sorted(want - has):
        yield Finding("missing-address", f"{where}: {link.title} lacks {address}")
    for address in sorted(has - want):
        yield Finding("leaked-address", f"{where}: {link.title} has {address}, which isn't planned")


def _other_ends(intent: Intent, links: list[Link], facts: Facts) -> Iterator[Finding]:
    where = f"pod {intent.pod} on {intent.node}"
    for wanted in intent.interfaces:
        if wanted.type not in BRIDGED:
            continue
        matching = [link for link in links if link.interface == wanted.name]
        if len(matching) != 1:
            text = f"{where}: {len(matching)} ends of {wanted.name} outside of the pod, want 1"
            yield Finding("end-count", text)
        for link in matching:
            bridges = _bridges(facts, link, wanted)
            if link.master not in bridges:
                text = f"{where}: {link.title} is in {link.master or 'no bridge'}"
                yield Finding("end-out-of-bridge", f"{text}, want {' or '.join(sorted(bridges))}")
            if not link.up:
                yield Finding("link-down", f"{where}: {link.title} is down")


def _bridges(facts: Facts, link: Link, wanted: Interface) -> set[str]:
    """The network's own bridges where the end is; the planned one where it has none there."""
    own = {
        device.name
        for device in facts.devices
        if device.kind == "bridge"
        and (device.node, device.netns) == (link.node, link.netns)
        and device.network_uid == wanted.network_uid
    }
    return own or {wanted.parent}


def told(facts: Facts) -> Iterator[Finding]:
    """MAC, MTU and state that a set tells are those of the link in the pod."""
    namespaces = {
        (entry.node, entry.netns): entry.uid
        for entry in facts.sandboxes
        if entry.ready and entry.netns
    }
    links: dict[tuple[str, str], Link] = {}
    for link in facts.links:
        uid = namespaces.get((link.node, link.netns))
        if uid and link.in_pod:
            links[uid, link.interface] = link
    for entry in facts.sets:
        for interface in entry.interfaces:
            one = links.get((entry.uid, interface.name))
            if one is not None:
                yield from _told(f"set {entry.title}", interface, one)


def _told(where: str, interface: Interface, link: Link) -> Iterator[Finding]:
    if interface.mac and interface.mac != link.mac:
        text = f"{where} tells MAC {interface.mac} of {interface.name}, {link.title} has {link.mac}"
        yield Finding("untrue-set", text)
    if interface.mtu and interface.mtu != link.mtu:
        text = f"{where} tells MTU {interface.mtu} of {interface.name}, {link.title} has {link.mtu}"
        yield Finding("untrue-set", text)
    state = "Up" if link.up and link.carrier else "Down"
    if interface.state in ("Up", "Down") and interface.state != state:
        text = (
            f"{where} tells linkState {interface.state} of {interface.name}, {link.title}: {state}"
        )
        yield Finding("untrue-set", text)


def twins(facts: Facts) -> Iterator[Finding]:
    """In the namespaces of pods, a network has each MAC and each address once."""
    networks = {
        (intent.node, intent.id, interface.name): interface.network
        for intent in facts.intents
        for interface in intent.interfaces
    }
    where: dict[tuple[str, str], list[Link]] = defaultdict(list)
    for link in facts.links:
        network = networks.get((link.node, link.intent, link.interface))
        if network is None or not link.in_pod:
            continue
        for identity in (link.mac, *(address.split("/")[0] for address in link.addresses)):
            where[network, identity].append(link)
    for (network, identity), links in sorted(where.items()):
        namespaces = {(link.node, link.netns) for link in links}
        if len(namespaces) > 1:
            titles = " and ".join(sorted(link.title for link in links))
            text = f"{identity} of network {network} is on {titles}"
            yield Finding(
                "duplicate-mac" if identity == links[0].mac else "duplicate-address", text
            )


def devices(facts: Facts) -> Iterator[Finding]:
    """What serves a network is up, in its bridge, and of a network that there is; tunnels are
    guarded, and nothing else is."""
    networks = {network.uid for network in facts.networks}
    used = {
        (intent.node, interface.network_uid)
        for intent in facts.intents
        if intent.state in LIVE_STATES
        for interface in intent.interfaces
    }
    for device in facts.devices:
        if device.network_uid not in networks and (device.node, device.network_uid) not in used:
            text = f"{device.title} is of network {device.network_uid}, which is gone"
            yield Finding("leaked-device", text)
        elif not device.up:
            yield Finding("device-down", f"{device.title} is down")
        if device.kind == "vxlan" and not device.master:
            yield Finding("tunnel-out-of-bridge", f"{device.title} is in no bridge")
    yield from _guards(facts)


def _guards(facts: Facts) -> Iterator[Finding]:
    tunnels: dict[str, list[Device]] = defaultdict(list)
    for device in facts.devices:
        if device.kind == "vxlan":
            tunnels[device.node].append(device)
    # A network can be wanted on a node that can't make its tunnel: then its guard stands alone.
    wanted = {network.port for network in facts.networks if network.port}
    for node in sorted({*tunnels, *facts.guarded}):
        guarded = facts.guarded.get(node, set())
        for device in tunnels[node]:
            if device.port not in guarded:
                text = f"{device.title}: rules of {node} don't guard UDP port {device.port}"
                yield Finding("tunnel-without-guard", text)
        for port in sorted(guarded - {device.port for device in tunnels[node]} - wanted):
            text = f"rules of {node} guard UDP port {port}, which no tunnel and no network has"
            yield Finding("guard-without-tunnel", text)
