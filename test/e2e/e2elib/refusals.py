"""Bad input that only our own programs can judge, each with what a person reads of it.

Requests of pods: the webhook refuses them at creation, and where it is away the agent refuses them by
itself. Networks and attachments: the webhook refuses them, and where it is away the controller says so
in the condition Ready, and no agent serves them. What the API server's schema refuses by itself stands in
test_bad_input.py; docs/bad-input.md lists all with the layers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from e2elib.objects import attachment, network, vxlan
from e2elib.pods import REQUEST

NAMESPACE = "refusals"
FIELD = f"metadata.annotations[{REQUEST}]"
ALL = {"defaultGateway": True, "routes": True}


def good(name: str, number: int, **changes: Any) -> str:
    """A network without fault: own bridge, gateway, everything allowed."""
    subnet = {"cidr": f"10.8.{number}.0/24", "gateway": f"10.8.{number}.1"}
    spec: dict[str, Any] = {"bridge": {"name": f"br-{name}"}, "ipam": {"subnets": [subnet]}}
    return network(name, **(spec | {"mtu": 1400, "allow": ALL} | changes))


# Taken by every layer.
NETWORKS = {
    "good": good("good", 1),
    "fine": good("fine", 2),
    "off": good("off", 3, enabled=False),
    "closed": good("closed", 4, access={}),
    "leaving": good("leaving", 5),
    "plain": good("plain", 6, allow={}, ipam={"subnets": [{"cidr": "10.8.6.0/24"}]}),
    "tunnel": vxlan("tunnel", "10.8.7.0/24", vni=7200),
}
ATTACHMENTS = {
    "one": attachment("one", NAMESPACE, "good", interfaceName="same0"),
    "two": attachment("two", NAMESPACE, "fine", interfaceName="same0"),
    "gate": attachment("gate", NAMESPACE, "good", defaultGateway="IPv4"),
    "gates": attachment("gates", NAMESPACE, "fine", defaultGateway="IPv4"),
}


@dataclass(frozen=True)
class BadObject:
    """A network or attachment: where and how it is wrong, and the name of the rule."""

    manifest: str
    path: str
    says: str
    reason: str
    # What the webhook says, where it tells less: anybody may have made the review up.
    to_anybody: str = ""

    @property
    def name(self) -> str:
        return str(json.loads(self.manifest)["metadata"]["name"])


def _subnet(name: str, **changes: Any) -> str:
    return good(name, 9, ipam={"subnets": [{"cidr": "10.8.9.0/24"} | changes]})


def _routes(name: str, *routes: dict[str, str]) -> str:
    return good(name, 9, routes=list(routes))


BAD_NETWORKS = {
    "VNI taken": BadObject(
        vxlan("bad-vni", "10.8.10.0/24", vni=7200), "spec.vxlan.vni",
        '"7200" is taken by network "tunnel"; choose another', "Conflict",
        '"7200" is taken by another network; choose another',
    ),
    "bridge of another network": BadObject(
        good("bad-bridge", 9, bridge={"name": "br-good"}), "spec.bridge.name",
        '"br-good" is taken by network "good"; choose another', "Conflict",
        '"br-good" is taken by another network; choose another',
    ),
    "gateway is the broadcast address": BadObject(
        _subnet("bad-gateway", gateway="10.8.9.255"), "spec.ipam.subnets[0].gateway",
        '"10.8.9.255" is the broadcast address of 10.8.9.0/24', "Invalid",
    ),
    "route off link": BadObject(
        _routes("bad-route", {"to": "172.16.0.0/12", "via": "10.99.0.1"}), "spec.routes[0].via",
        '"10.99.0.1" lies on none of the network\'s subnets; write an address of 10.8.9.0/24',
        "Invalid",
    ),
    "route twice": BadObject(
        _routes("bad-twice", {"to": "fd01::/64"}, {"to": "FD01:0::/64"}), "spec.routes[1].to",
        '"FD01:0::/64" repeats spec.routes[0]; name each destination once', "Invalid",
    ),
    "uplink is the bridge": BadObject(
        good("bad-uplink", 9, bridge={"name": "br9", "uplink": "br9"}), "spec.bridge.uplink",
        '"br9" is the bridge itself', "Invalid",
    ),
}  # fmt: skip

BAD_ATTACHMENTS = {
    "unknown network": BadObject(
        attachment("bad-network", NAMESPACE, "nowhere"), "spec.podNetworkName",
        '"nowhere" names no PodNetwork', "NetworkNotFound",
        f'"nowhere" names no PodNetwork that is open to namespace "{NAMESPACE}"',
    ),
    "network not granted": BadObject(
        attachment("bad-grant", NAMESPACE, "closed"), "spec.podNetworkName",
        f'"closed" is open to no namespace; have the admin grant namespace "{NAMESPACE}"',
        "NotGranted", f'"closed" names no PodNetwork that is open to namespace "{NAMESPACE}"',
    ),
    "MTU above the network's": BadObject(
        attachment("bad-mtu", NAMESPACE, "good", mtu=1401), "spec.mtu",
        '"1401" is above what network "good" carries; write a number from 576 to 1400', "Invalid",
    ),
    "routes not allowed": BadObject(
        attachment("bad-routes", NAMESPACE, "plain", routes=[{"to": "172.16.0.0/12"}]),
        "spec.routes", '"172.16.0.0/12" isn\'t allowed by network "plain"', "Invalid",
    ),
    "route off link": BadObject(
        attachment("bad-via", NAMESPACE, "good", routes=[{"to": "172.16.0.0/12", "via": "10.9.0.1"}]),
        "spec.routes[0].via", '"10.9.0.1" lies on none of the network\'s subnets', "Invalid",
    ),
    "default gateway not allowed": BadObject(
        attachment("bad-allow", NAMESPACE, "plain", defaultGateway="IPv4"), "spec.defaultGateway",
        '"IPv4" isn\'t allowed by network "plain"', "Invalid",
    ),
    "no gateway of the family": BadObject(
        attachment("bad-family", NAMESPACE, "good", defaultGateway="IPv6"), "spec.defaultGateway",
        '"IPv6" needs an IPv6 gateway, and network "good" has none', "Invalid",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class BadRequest:
    """A pod's request: the rule that refuses it and what it says."""

    request: str
    reason: str
    says: str
    path: str = FIELD
    spec: dict[str, object] = field(default_factory=dict)
    to_anybody: str = ""  # as of a BadObject


BAD_REQUESTS = {
    "unknown network": BadRequest(
        "good, nowhere", "NetworkNotFound",
        'item 2: "nowhere" names PodNetwork "nowhere", which doesn\'t exist; name one of',
        to_anybody=f'item 2: "nowhere" names no PodNetwork that is open to namespace "{NAMESPACE}"',
    ),
    "unknown attachment": BadRequest(
        "attachment/nowhere", "AttachmentNotFound",
        f'item 1: "attachment/nowhere" names no PodNetworkAttachment of namespace "{NAMESPACE}"',
    ),
    "network disabled": BadRequest(
        "off", "NetworkDisabled", 'item 1: "off" uses a network that is disabled; have the admin set'
    ),
    "network being deleted": BadRequest(
        "leaving", "NetworkDeleting", 'item 1: "leaving" uses a network that is being deleted'
    ),
    "network not granted": BadRequest(
        "closed", "NamespaceNotGranted", 'item 1: "closed" is open to no namespace; have the admin',
        to_anybody=f'item 1: "closed" names no PodNetwork that is open to namespace "{NAMESPACE}"',
    ),
    "same network twice": BadRequest(
        "good, attachment/one", "NetworkTwice",
        'item 2: "attachment/one" joins network "good" again, after item 1 (good); ask for each',
    ),
    "same item twice": BadRequest(
        "good, good", "DuplicateItem", 'item 2: "good" repeats item 1; name each once'
    ),
    "interface name duplicate": BadRequest(
        "attachment/one, attachment/two", "DuplicateInterfaceName",
        'item 2: "attachment/two" gets interface name "same0", which item 1 (attachment/one) has',
    ),
    "two default gateways of a family": BadRequest(
        "attachment/gate, attachment/gates", "TwoDefaultGateways",
        'item 2: "attachment/gates" is a second default gateway for IPv4, beside item 1',
    ),
    "hostNetwork": BadRequest(
        "good", "HostNetwork", '"true" goes with no request for networks; set it to false',
        "spec.hostNetwork", {"hostNetwork": True},
    ),
    "empty": BadRequest("", "EmptyRequest", "is empty; remove the annotation, or name a network"),
    "empty item": BadRequest(
        "good,,fine", "EmptyItem", "item 2: is empty; remove the comma beside it"
    ),
    "trailing comma": BadRequest(
        "good,", "EmptyItem", "item 2: is empty; remove the comma beside it"
    ),
    "space": BadRequest("go od", "IllegalCharacter", "\"go od\" has the illegal character ' '"),
    "capital": BadRequest("Good", "IllegalCharacter", "\"Good\" has the illegal character 'G'"),
    "star": BadRequest("net*", "IllegalCharacter", "\"net*\" has the illegal character '*'"),
    "percent": BadRequest("a%b", "IllegalCharacter", "\"a%b\" has the illegal character '%'"),
    "quote": BadRequest('a"b', "IllegalCharacter", "has the illegal character '\"'"),
    "line break": BadRequest("a\nb", "IllegalCharacter", "has the illegal character '\\x0a'"),
    "JSON": BadRequest('[{"name": "good"}]', "JSONRequest", "is JSON; write names with commas"),
    "another namespace": BadRequest(
        "other/good", "OtherNamespace",
        'item 1: "other/good" points into another namespace, which a request can\'t do; write good',
    ),
    "attachment of another namespace": BadRequest(
        "attachment/other/nas", "OtherNamespace", "points into another namespace"
    ),
    "more than sixteen": BadRequest(
        ",".join(f"n{number}" for number in range(17)), "TooManyInterfaces",
        "has 17 items; ask for at most 16",
    ),
}  # fmt: skip

# Reach a pod only where the webhook was away when the object was made.
BAD_BY_OBJECTS = {
    "network in conflict": BadRequest(
        "bad-vni", "NetworkNotReady", "\"bad-vni\" uses a network that isn't Ready (Conflict"
    ),
    "network that breaks a rule": BadRequest(
        "bad-gateway", "GatewayReserved",
        'PodNetwork "bad-gateway" is wrong: spec.ipam.subnets[0].gateway "10.8.9.255" is the',
    ),
    "attachment to an unknown network": BadRequest(
        "attachment/bad-network", "NetworkNotFound", 'names PodNetwork "nowhere"'
    ),
    "attachment to a closed network": BadRequest(
        "attachment/bad-grant", "NamespaceNotGranted", "is open to no namespace"
    ),
    "attachment with a larger MTU": BadRequest(
        "attachment/bad-mtu", "MTUTooLarge", 'has spec.mtu "1401" is above what network "good"'
    ),
    "attachment with routes": BadRequest(
        "attachment/bad-routes", "NotAllowed", "isn't allowed by network \"plain\""
    ),
    "attachment with a default gateway": BadRequest(
        "attachment/bad-allow", "NotAllowed", 'has spec.defaultGateway "IPv4" isn\'t allowed'
    ),
    "attachment without a gateway": BadRequest(
        "attachment/bad-family", "GatewayMissing", 'needs an IPv6 gateway, and network "good"'
    ),
}  # fmt: skip
