"""What the checker knows of a cluster at one moment, whoever told it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

LIVE_STATES = ("INTENT", "BOUND", "ATTACHED", "DETACHING", "ROLLBACK")
ALIAS = "multinet:"


def plain(address: str) -> str:
    """An address without its length, in its one canonical spelling."""
    return str(ipaddress.ip_interface(address).ip)


@dataclass(frozen=True)
class Pod:
    uid: str
    namespace: str
    name: str
    node: str
    request: str  # the annotation; empty: asks for nothing
    ready: bool
    addresses: tuple[str, ...]  # status.podIPs

    @property
    def title(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Interface:
    name: str
    network: str
    addresses: tuple[str, ...]
    mac: str = ""


@dataclass(frozen=True)
class InterfaceSet:
    namespace: str
    name: str
    pod: str
    uid: str  # of the pod
    node: str
    interfaces: tuple[Interface, ...]

    @property
    def title(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Block:
    """An IPBlock; network and prefix follow from its name, which is what makes it unique."""

    name: str
    node: str  # empty: of a claim

    @property
    def network(self) -> str:
        return self.name.rsplit("-", 3)[0]

    @property
    def prefix(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        _, family, digits, length = self.name.rsplit("-", 3)
        kind = ipaddress.IPv4Network if family == "v4" else ipaddress.IPv6Network
        return kind((int(digits, 16), int(length)))


@dataclass(frozen=True)
class Link:
    """A link of ours, known by its alias `multinet:<intent>:<interface>`."""

    node: str
    netns: str  # path; empty: the node's own
    name: str
    mac: str
    intent: str
    interface: str
    addresses: tuple[str, ...]  # without link-local ones

    @property
    def title(self) -> str:
        return f"link {self.name} in {self.netns or 'the namespace'} of {self.node}"


@dataclass(frozen=True)
class Intent:
    """A record of an agent's journal."""

    node: str
    id: str
    uid: str
    pod: str
    sandbox: str
    state: str
    interfaces: tuple[Interface, ...]


@dataclass(frozen=True)
class Sandbox:
    node: str
    id: str
    uid: str
    ready: bool
    netns: str


@dataclass
class Facts:
    pods: list[Pod] = field(default_factory=list)
    sets: list[InterfaceSet] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    intents: list[Intent] = field(default_factory=list)
    sandboxes: list[Sandbox] = field(default_factory=list)
