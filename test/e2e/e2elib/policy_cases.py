"""What Kubernetes' own suite asks of NetworkPolicies (test/e2e/network/netpol/network_policy.go of 1.37), asked of
PodNetworkPolicies: per case what is written, and who reaches whom then by its own words. docs/policy-cases.md lists them.

Three namespaces x, y and z have pods a, b and c each. A table is of all of them, by TCP, UDP and SCTP
at two ports, so that it says more than the case upstream, which asks by one protocol mostly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from e2elib.probing import Packet, Who

X, Y, Z = "cases-x", "cases-y", "cases-z"
NAMESPACES = (X, Y, Z)
XA, XB, XC = (X, "a"), (X, "b"), (X, "c")
YA, YB = (Y, "a"), (Y, "b")
PODS: tuple[Who, ...] = tuple((namespace, name) for namespace in NAMESPACES for name in "abc")

Spec = dict[str, Any]
AddressesOf = Callable[[Who], list[str]]  # on all networks, of both families


@dataclass(frozen=True)
class Policy:
    """Made, or made as it is here. What needs addresses is asked for them."""

    name: str
    spec: Spec | Callable[[AddressesOf], Spec]
    namespace: str = X


@dataclass(frozen=True)
class Gone:
    """All policies of all namespaces."""


@dataclass(frozen=True)
class Label:
    """Of a pod, or of a namespace where there is no pod's name."""

    who: Who
    key: str
    value: str


Act = Policy | Gone | Label


@dataclass(frozen=True)
class Step:
    acts: tuple[Act, ...]
    says: Callable[[Packet], bool]


@dataclass(frozen=True)
class Case:
    """Some of upstream's cases differ by protocol alone: one of ours stands for them."""

    upstream: tuple[int, ...]  # places in the file, from 1 on
    steps: tuple[Step, ...]


def _step(*acts: Act, says: Callable[[Packet], bool]) -> Step:
    return Step(acts, says)


# Peers, ports and rules


def pods(**labels: str) -> Spec:
    return {"podSelector": {"matchLabels": labels}}


def pods_in(key: str, *values: str) -> Spec:
    return {"podSelector": {"matchExpressions": [_among(key, "In", values)]}}


def team(name: str) -> Spec:
    return {"namespaceSelector": {"matchLabels": {"team": name}}}


def teams(operator: str, *names: str) -> Spec:
    return {"namespaceSelector": {"matchExpressions": [_among("team", operator, names)]}}


def _among(key: str, operator: str, values: tuple[str, ...]) -> Spec:
    return {"key": key, "operator": operator, "values": list(values)}


def port(number: int | str | None, protocol: str | None = "TCP") -> Spec:
    made = {"port": number, "protocol": protocol}
    return {key: value for key, value in made.items() if value is not None}


def _rule(side: str, peers: tuple[Spec, ...], ports: tuple[Spec, ...]) -> Spec:
    return ({side: list(peers)} if peers else {}) | ({"ports": list(ports)} if ports else {})


def comes_in(*peers: Spec, ports: tuple[Spec, ...] = (), to: str = "") -> Spec:
    """Isolates on ingress; to all pods of the namespace, or to those of a name."""
    return _of(to) | {"policyTypes": ["Ingress"], "ingress": [_rule("from", peers, ports)]}


def goes_out(*peers: Spec, ports: tuple[Spec, ...] = (), of: str = "") -> Spec:
    return _of(of) | {"policyTypes": ["Egress"], "egress": [_rule("to", peers, ports)]}


def nothing(*types: str, of: str = "") -> Spec:
    return _of(of) | {"policyTypes": list(types)}


def _of(name: str) -> Spec:
    return pods(pod=name) if name else {"podSelector": {}}


# Blocks of addresses


def exactly(addresses: list[str]) -> list[Spec]:
    return [{"ipBlock": {"cidr": str(ip_network(one))}} for one in addresses]


def around(addresses: list[str]) -> list[Spec]:
    """The sixteenth of all addresses that each is in, but for these themselves."""
    blocks: dict[str, list[str]] = {}
    for one in addresses:
        block = str(ip_network(f"{one}/4", strict=False))
        blocks.setdefault(block, []).append(str(ip_network(one)))
    return [{"ipBlock": {"cidr": cidr, "except": less}} for cidr, less in blocks.items()]


def _to_one_by_ipv4(addresses_of: AddressesOf) -> Spec:
    return goes_out(*exactly([one for one in addresses_of(YB) if ":" not in one]), of="a")


def _to_all_but_one(addresses_of: AddressesOf) -> Spec:
    return goes_out(*around(addresses_of(XB)), of="a")


def _to_one(addresses_of: AddressesOf) -> Spec:
    return goes_out(*exactly(addresses_of(XB)), of="a")


# What the cases say


def _all(_: Packet) -> bool:
    return True


def _to_x(may: Callable[[Packet], bool]) -> Callable[[Packet], bool]:
    """Of what comes to the namespace; all else passes."""
    return lambda packet: packet.target[0] != X or may(packet)


def _to_xa(may: Callable[[Packet], bool]) -> Callable[[Packet], bool]:
    return lambda packet: packet.target != XA or may(packet)


def _from_x(may: Callable[[Packet], bool]) -> Callable[[Packet], bool]:
    return lambda packet: packet.source[0] != X or may(packet)


def _from_xa(may: Callable[[Packet], bool]) -> Callable[[Packet], bool]:
    return lambda packet: packet.source != XA or may(packet)


def _none(_: Packet) -> bool:
    return False


def _by(protocol: str, *ports: int) -> Callable[[Packet], bool]:
    return lambda packet: packet.protocol == protocol and (not ports or packet.port in ports)


def _by_y(protocol: str, *ports: int) -> Callable[[Packet], bool]:
    return lambda packet: packet.source[0] == Y and _by(protocol, *ports)(packet)


def _is_from(*sources: Who) -> Callable[[Packet], bool]:
    return lambda packet: packet.source in sources


def _one_from_y(packet: Packet) -> bool:
    return packet.source == YA


DENY_IN = Policy("deny-in", nothing("Ingress"))
DENY = Policy("deny", nothing("Ingress", "Egress"))
ALL_IN = Policy("all-in", comes_in())
DEFAULT_LABEL = "kubernetes.io/metadata.name"

CASES: dict[str, Case] = {
    "nothing comes into a namespace": Case((1, 44, 47), (_step(DENY_IN, says=_to_x(_none)),)),
    "nothing comes in or goes out": Case(
        (2,),
        (_step(DENY, says=lambda packet: X not in (packet.source[0], packet.target[0])),),
    ),
    "from a pod of the own namespace": Case(
        (3,), (_step(Policy("p", comes_in(pods(pod="b"), to="a")), says=_to_xa(_is_from(XB))),)
    ),
    "one pod of a closed namespace is open": Case(
        (4,),
        (
            _step(
                DENY_IN,
                Policy("p", comes_in({"podSelector": {}, "namespaceSelector": {}}, to="a")),
                says=_to_x(lambda packet: packet.target == XA),
            ),
        ),
    ),
    "from pods of all namespaces": Case(
        (5,), (_step(Policy("p", comes_in({"namespaceSelector": {}}, to="a")), says=_all),)
    ),
    "from another namespace": Case(
        (6,),
        (
            _step(
                Policy("p", comes_in(team("y"), to="a")),
                says=_to_xa(lambda packet: packet.source[0] == Y),
            ),
        ),
    ),
    "a pod by an expression": Case(
        (7,),
        (_step(Policy("p", comes_in(pods_in("pod", "b"), to="a")), says=_to_xa(_is_from(XB))),),
    ),
    "a namespace by an expression": Case(
        (8,),
        (
            _step(
                Policy("p", comes_in(teams("In", "y"), to="a")),
                says=_to_xa(lambda packet: packet.source[0] == Y),
            ),
        ),
    ),
    "another namespace, or a pod of the own": Case(
        (9,),
        (
            _step(
                Policy("p", comes_in(teams("NotIn", "x"), pods(pod="b"), to="a")),
                says=_to_xa(lambda packet: packet.source[0] != X or packet.source == XB),
            ),
        ),
    ),
    "a pod of other namespaces": Case(
        (10,),
        (
            _step(
                Policy("p", comes_in(teams("NotIn", "x") | pods(pod="b"), to="a")),
                says=_to_xa(lambda packet: packet.source[0] != X and packet.source[1] == "b"),
            ),
        ),
    ),
    "several pods of other namespaces": Case(
        (11,),
        (
            _step(
                Policy("p", comes_in(teams("NotIn", "x") | pods_in("pod", "b", "c"), to="a")),
                says=_to_xa(lambda packet: packet.source[0] != X and packet.source[1] in "bc"),
            ),
        ),
    ),
    "either of two pods": Case(
        (12,),
        (
            _step(
                Policy("p", comes_in(pods(pod="b"), pods(pod="c"), to="a")),
                says=_to_xa(_is_from(XB, XC)),
            ),
        ),
    ),
    "one pod of one other namespace": Case(
        (13, 46, 49),
        (
            _step(
                Policy("p", comes_in(team("y") | pods(pod="a"), to="a")), says=_to_xa(_one_from_y)
            ),
        ),
    ),
    "one port": Case(
        (14,),
        (
            _step(
                Policy("p", comes_in(team("y"), ports=(port(81),), to="a")),
                says=_to_xa(_by_y("TCP", 81)),
            ),
        ),
    ),
    "one port of UDP": Case(
        (45,),
        (
            _step(
                Policy("p", comes_in(team("y"), ports=(port(81, "UDP"),), to="a")),
                says=_to_xa(_by_y("UDP", 81)),
            ),
        ),
    ),
    "one port of SCTP": Case(
        (48,),
        (
            _step(
                Policy("p", comes_in(team("y"), ports=(port(81, "SCTP"),), to="a")),
                says=_to_xa(_by_y("SCTP", 81)),
            ),
        ),
    ),
    "policies add up": Case(
        (15,),
        (
            _step(
                Policy("p", comes_in(team("y"), ports=(port(81),), to="a")),
                says=_to_xa(_by_y("TCP", 81)),
            ),
            _step(
                Policy("q", comes_in(team("y"), ports=(port(80),), to="a")),
                says=_to_xa(_by_y("TCP", 80, 81)),
            ),
        ),
    ),
    "everybody comes in": Case((16,), (_step(ALL_IN, says=_all),)),
    "in by the name of a port": Case(
        (17,),
        (
            _step(
                Policy("p", comes_in(ports=(port("serve-81-tcp", None),))),
                says=_to_x(_by("TCP", 81)),
            ),
        ),
    ),
    "in from a namespace, by the name of a port": Case(
        (18,),
        (
            _step(
                Policy("p", comes_in(team("y"), ports=(port("serve-80-tcp"),), to="a")),
                says=_to_xa(_by_y("TCP", 80)),
            ),
        ),
    ),
    "out by the name of a port": Case(
        (19,),
        (
            _step(
                Policy("p", goes_out(ports=(port("serve-80-tcp", None),))),
                says=_from_x(_by("TCP", 80)),
            ),
        ),
    ),
    "a name of a port that nobody has": Case(
        (20,),
        (_step(Policy("p", comes_in(ports=(port("no-such-port"),), to="a")), says=_to_xa(_none)),),
    ),
    "a policy that changes": Case(
        (21,),
        (
            _step(Policy("p", comes_in()), says=_all),
            _step(Policy("p", nothing("Ingress")), says=_to_x(_none)),
        ),
    ),
    "a namespace gets the label": Case(
        (22,),
        (
            _step(
                Policy(
                    "p",
                    comes_in({"namespaceSelector": {"matchLabels": {"late": "yes"}}}, to="a"),
                ),
                says=_to_xa(_none),
            ),
            _step(
                Label((Y, ""), "late", "yes"),
                says=_to_xa(lambda packet: packet.source[0] == Y),
            ),
        ),
    ),
    "a pod gets the label": Case(
        (23,),
        (
            _step(Policy("p", comes_in(pods(pod="b", late="yes"), to="a")), says=_to_xa(_none)),
            _step(Label(XB, "late", "yes"), says=_to_xa(_is_from(XB))),
        ),
    ),
    "from the own namespace alone": Case(
        (24,),
        (
            _step(
                Policy("p", comes_in({"podSelector": {}})),
                says=_to_x(lambda packet: packet.source[0] == X),
            ),
        ),
    ),
    "a pod gets selected": Case(
        (25,),
        (
            _step(Policy("p", nothing("Ingress") | pods(late="yes")), says=_all),
            _step(Label(XA, "late", "yes"), says=_to_xa(_none)),
        ),
    ),
    "nothing goes out of a pod": Case(
        (26,), (_step(Policy("p", nothing("Egress", of="a")), says=_from_xa(_none)),)
    ),
    "nothing goes out of a namespace": Case(
        (27,), (_step(Policy("p", nothing("Egress")), says=_from_x(_none)),)
    ),
    "in and out in one policy": Case(
        (28,),
        (
            _step(
                Policy(
                    "p",
                    goes_out(ports=(port(80, None),), of="a")
                    | {
                        "ingress": [{"from": [pods(pod="b")]}],
                        "policyTypes": ["Egress", "Ingress"],
                    },
                ),
                says=lambda packet: _to_xa(_is_from(XB))(packet)
                and _from_xa(_by("TCP", 80))(packet),
            ),
        ),
    ),
    "the client's side denies what the server's allows": Case(
        (29,),
        (
            _step(
                Policy("p", goes_out(team("y") | pods(pod="a"), of="a")),
                Policy("qa", comes_in(team("x") | pods(pod="a"), to="a"), Y),
                Policy("qb", comes_in(team("x") | pods(pod="a"), to="b"), Y),
                says=lambda packet: _from_xa(lambda sent: sent.target == YA)(packet)
                and (packet.target not in (YA, YB) or packet.source == XA),
            ),
        ),
    ),
    "out to one pod of another namespace": Case(
        (30,),
        (
            _step(
                Policy("p", goes_out(team("y") | pods(pod="a"), of="a")),
                says=_from_xa(lambda packet: packet.target == YA),
            ),
        ),
    ),
    "each port of one protocol": Case(
        (31,), (_step(Policy("p", comes_in(ports=(port(None),), to="a")), says=_to_xa(_by("TCP"))),)
    ),
    "a wider policy beside a narrower one, in": Case(
        (32,),
        (
            _step(
                Policy("p", comes_in(ports=(port(80, None),))),
                says=_to_x(_by("TCP", 80)),
            ),
            _step(ALL_IN, says=_all),
        ),
    ),
    "a wider policy beside a narrower one, out": Case(
        (33,),
        (
            _step(
                Policy("p", goes_out(ports=(port(80, None),))),
                says=_from_x(_by("TCP", 80)),
            ),
            _step(Policy("q", goes_out()), says=_all),
        ),
    ),
    "a policy that goes is gone": Case(
        (34,),
        (
            _step(DENY, says=lambda packet: X not in (packet.source[0], packet.target[0])),
            _step(Gone(), says=_all),
        ),
    ),
    "out to an address": Case(
        (35,),
        (
            _step(
                Policy("p", _to_one_by_ipv4),
                says=_from_xa(lambda packet: packet.target == YB and packet.family == "IPv4"),
            ),
        ),
    ),
    "out to a block without an address of it": Case(
        (36,),
        (_step(Policy("p", _to_all_but_one), says=_from_xa(lambda packet: packet.target != XB)),),
    ),
    "out to an address that another block leaves out": Case(
        (37,),
        (
            _step(Policy("p", _to_all_but_one), says=_from_xa(lambda packet: packet.target != XB)),
            _step(Policy("q", _to_one), says=_all),
            _step(
                Policy("p", _to_one),
                says=_from_xa(lambda packet: packet.target == XB),
            ),
        ),
    ),
    "in and out by policies of their own": Case(
        (38,),
        (
            _step(Policy("p", goes_out(of="a")), says=_all),
            _step(Policy("q", nothing("Ingress", of="a")), says=_to_xa(_none)),
        ),
    ),
    "SCTP is no TCP": Case(
        (39,),
        (
            _step(
                DENY_IN,
                Policy("p", comes_in(ports=(port(81, "SCTP"),), to="a")),
                says=_to_x(lambda packet: packet.target == XA and _by("SCTP", 81)(packet)),
            ),
        ),
    ),
    "a rule of SCTP isolates": Case(
        (40,),
        (
            _step(
                Policy("p", comes_in(ports=(port(80, "SCTP"),), to="a")),
                says=_to_xa(_by("SCTP", 80)),
            ),
        ),
    ),
    "UDP is no TCP": Case(
        (41,),
        (
            _step(
                Policy("p", comes_in(ports=(port(81, "UDP"),), to="a")),
                says=_to_xa(_by("UDP", 81)),
            ),
        ),
    ),
    "in by the label that namespaces have": Case(
        (42,),
        (
            _step(
                Policy(
                    "p",
                    comes_in({"namespaceSelector": {"matchLabels": {DEFAULT_LABEL: Y}}}, to="a"),
                ),
                says=_to_xa(lambda packet: packet.source[0] == Y),
            ),
        ),
    ),
    "out by the label that namespaces have": Case(
        (43,),
        (
            _step(
                Policy(
                    "p",
                    goes_out(
                        {
                            "namespaceSelector": {
                                "matchExpressions": [_among(DEFAULT_LABEL, "NotIn", (Y,))]
                            }
                        },
                        of="a",
                    ),
                ),
                says=_from_xa(lambda packet: packet.target[0] != Y),
            ),
        ),
    ),
}
