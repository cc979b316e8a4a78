"""What the checker knows of a cluster at one moment, whoever told it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

LIVE_STATES = ("INTENT", "BOUND", "ATTACHED", "DETACHING", "ROLLBACK")
ALIAS = "multinet:"
NETWORK_ALIAS = "multinet-network:"
PODS_NAMESPACES = "/run/netns/"


@dataclass(frozen=True)
class Finding:
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.text}"


def connected(address: str) -> str:
    """The prefix that an address makes reachable; of one without neighbours none."""
    network = ipaddress.ip_interface(address).network
    return "" if network.num_addresses == 1 else str(network)


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
    labels: frozenset[tuple[str, str]] = frozenset()
    deleting: bool = False

    @property
    def title(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Service:
    """A PodNetworkService, and what core's Service of it says."""

    uid: str
    namespace: str
    name: str
    network: str
    selector: frozenset[tuple[str, str]]
    published: bool  # publishNotReadyAddresses
    made: str = ""  # UID of core's Service, where there is one of ours
    addresses: tuple[str, ...] = ()  # ClusterIPs
    families: tuple[str, ...] = ()  # IPv4, IPv6
    ports: tuple[tuple[str, str, int], ...] = ()  # name, protocol, number
    local: bool = False  # internalTrafficPolicy

    @property
    def title(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Endpoint:
    uid: str  # of its pod
    address: str
    node: str
    ready: bool
    serving: bool
    terminating: bool
    hinted: bool = False


@dataclass(frozen=True)
class Slice:
    """An EndpointSlice that names a Service."""

    namespace: str
    name: str
    service: str  # that it names
    owner: str  # UID of the PodNetworkService that owns it
    manager: str
    family: str
    endpoints: tuple[Endpoint, ...]
    ports: tuple[tuple[str, str, int], ...]  # name, protocol, number

    @property
    def title(self) -> str:
        return f"{self.namespace}/{self.name}"


Frontend = tuple[str, int, str]  # address, port, TCP or UDP
Targets = frozenset[tuple[str, int]]


@dataclass(frozen=True)
class Network:
    """A PodNetwork."""

    name: str
    uid: str
    ready: bool
    port: int = 0  # of its tunnels; 0: has none


@dataclass(frozen=True)
class Interface:
    """An interface as a journal plans it or a set tells it; what isn't said is empty."""

    name: str
    network: str
    addresses: tuple[str, ...]
    mac: str = ""
    mtu: int = 0
    state: str = ""  # a set's linkState
    type: str = ""
    network_uid: str = ""
    parent: str = ""  # the bridge, or the parent device
    routes: tuple[str, ...] = ()  # destinations beside those of its addresses
    held: str = ""  # where a set tells that policies are enforced: Node, Pod


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
    network_uid: str = ""

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
    """A link of ours in a pod, or its end on the node: its alias is `multinet:<intent>:<interface>`."""

    node: str
    netns: str  # path; empty: the node's own
    name: str
    mac: str
    intent: str
    interface: str
    addresses: tuple[str, ...]  # without link-local ones
    up: bool = True  # administratively
    carrier: bool = True
    mtu: int = 0
    master: str = ""
    routes: frozenset[str] = frozenset()  # destinations, each with its length

    @property
    def in_pod(self) -> bool:
        """Else it is the other end, in the node's namespace or in the switch's."""
        return self.netns.startswith(PODS_NAMESPACES)

    @property
    def title(self) -> str:
        return f"link {self.name} in {self.netns or 'the namespace'} of {self.node}"


@dataclass(frozen=True)
class Device:
    """A bridge, tunnel or other link that serves a network: its alias is `multinet-network:<uid>`."""

    node: str
    netns: str
    name: str
    network_uid: str
    kind: str  # bridge, vxlan, ...
    up: bool
    master: str = ""
    port: int = 0

    @property
    def title(self) -> str:
        return f"{self.kind} {self.name} in {self.netns or 'the namespace'} of {self.node}"


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
    doubted: bool = False
    released: bool = False
    """Given up and without a link: its addresses rest, or rested; a late sandbox is looked for."""


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
    networks: list[Network] = field(default_factory=list)
    sets: list[InterfaceSet] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    devices: list[Device] = field(default_factory=list)
    intents: list[Intent] = field(default_factory=list)
    sandboxes: list[Sandbox] = field(default_factory=list)
    guarded: dict[str, set[int]] = field(default_factory=dict)  # UDP ports of tunnels, by node
    isolated: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    """Links that rules of policies isolate, by node and namespace."""
    node_sets: set[str] = field(default_factory=set)  # nodes that have a NodeNetworkSet
    agents: set[str] = field(default_factory=set)  # nodes that have a journal
    services: list[Service] = field(default_factory=list)
    slices: list[Slice] = field(default_factory=list)
    maps: dict[str, dict[Frontend, Targets]] = field(default_factory=dict)  # by node that has any
