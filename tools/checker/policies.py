"""Rules about policies: what sets call enforced is so in the kernel, and nothing is left of others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from checker.facts import Facts, Finding


def held(facts: Facts) -> Iterator[Finding]:
    """An interface of which a set says where it is held is isolated just there."""
    intents = {i.uid: i.id for i in facts.intents if i.state == "ATTACHED"}
    for entry in facts.sets:
        for interface in entry.interfaces:
            if not interface.held or entry.uid not in intents:
                continue
            for link in facts.links:
                if (link.intent, link.interface) != (intents[entry.uid], interface.name):
                    continue
                if link.node != entry.node or link.in_pod != (interface.held == "Pod"):
                    continue
                if link.name not in facts.isolated.get((link.node, link.netns), ()):
                    text = f"set {entry.title} tells that {interface.name} is held to policies"
                    yield Finding("not-isolated", f"{text}, no rule isolates {link.title}")


def leaked(facts: Facts) -> Iterator[Finding]:
    """What is isolated is a link of ours."""
    links: dict[tuple[str, str], set[str]] = defaultdict(set)
    for link in facts.links:
        links[link.node, link.netns].add(link.name)
    for (node, netns), names in sorted(facts.isolated.items()):
        for name in sorted(names - links[node, netns]):
            where = netns or "the namespace"
            text = f"rules in {where} of {node} isolate {name}, which is no link there"
            yield Finding("leaked-rules", text)
