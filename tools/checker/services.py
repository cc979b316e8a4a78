"""Rules about services: slices are what pods and sets say, and the nodes' maps are what slices say."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from checker.facts import (
    Endpoint,
    Facts,
    Finding,
    Frontend,
    InterfaceSet,
    Pod,
    Service,
    Slice,
    Targets,
    plain,
)

MANAGER = "multinet.dev"
FAMILIES = {"IPv4": ".", "IPv6": ":"}


def slices(facts: Facts) -> Iterator[Finding]:
    """Each slice of ours is of a service that there is, and nobody else's names that service."""
    services = {(one.namespace, one.name): one for one in facts.services if one.made}
    for one in facts.slices:
        service = services.get((one.namespace, one.service))
        if one.manager != MANAGER:
            if service is not None:
                text = (
                    f"slice {one.title} of {one.manager or 'nobody'} names service {service.title}"
                )
                yield Finding("foreign-slice", text)
        elif service is None or one.owner != service.uid:
            text = f"slice {one.title} is of service {one.service}, which is gone"
            yield Finding("leaked-slice", text)


def endpoints(facts: Facts) -> Iterator[Finding]:
    """The slices of a service have each pod that it selects once, by its first address of each family on the network,
    and nobody else."""
    sets = {entry.uid: entry for entry in facts.sets}
    for service in facts.services:
        if not service.made:
            continue
        own = _slices_of(service, facts.slices)
        pods = {
            pod.uid: pod
            for pod in facts.pods
            if pod.namespace == service.namespace and service.selector <= pod.labels
        }
        for family in service.families:
            listed = [each for one in own if one.family == family for each in one.endpoints]
            wanted = {
                (uid, address)
                for uid in pods
                for address in [_address(sets.get(uid), service.network, family)]
                if address
            }
            counts = Counter((one.uid, one.address) for one in listed)
            for uid, address in sorted(wanted - set(counts)):
                text = f"service {service.title} lacks pod {pods[uid].title} at {address}"
                yield Finding("missing-endpoint", text)
            for (uid, address), count in sorted(counts.items()):
                if (uid, address) not in wanted:
                    text = f"service {service.title} has {address} of pod {uid}, which isn't its"
                    yield Finding("untrue-endpoint", text)
                elif count > 1:
                    text = f"service {service.title} has {address} {count} times"
                    yield Finding("untrue-endpoint", text)
            yield from _conditions(service, listed, pods)


def _conditions(
    service: Service, listed: list[Endpoint], pods: dict[str, Pod]
) -> Iterator[Finding]:
    """What a pod's own state forbids; whether the network lets it be ready more is needed for."""
    for one in listed:
        pod = pods.get(one.uid)
        if pod is None:
            continue
        where = f"service {service.title}: {one.address} of pod {pod.title}"
        if one.ready and not (pod.ready or service.published):
            yield Finding("wrong-condition", f"{where} is ready, and the pod isn't")
        if pod.deleting and not one.terminating:
            yield Finding("wrong-condition", f"{where} isn't terminating, and the pod is deleted")


def maps(facts: Facts) -> Iterator[Finding]:
    """The maps of a node lead where the slices say: for each service on a network that a pod of the node is on, and for
    no service that is gone. Where zones or nodes are hinted a part of the endpoints is enough."""
    here: dict[str, set[str]] = defaultdict(set)
    for entry in facts.sets:
        here[entry.node] |= {interface.network for interface in entry.interfaces}
    for node, there in sorted(facts.maps.items()):
        known: dict[Frontend, tuple[Service, Targets, bool]] = {}
        for service in facts.services:
            for frontend, targets, hinted in _frontends(service, facts.slices, node):
                known[frontend] = (service, targets, hinted)
        for frontend, found in sorted(there.items()):
            if frontend not in known:
                text = f"maps of {node} lead from {_text(frontend)}, which no service has"
                yield Finding("leaked-frontend", text)
                continue
            service, targets, hinted = known[frontend]
            right = (
                found <= targets and bool(found) == bool(targets) if hinted else found == targets
            )
            if not right:
                text = (
                    f"maps of {node} lead from {_text(frontend)} of service {service.title} to "
                    f"{sorted(found)}, the slices to {sorted(targets)}"
                )
                yield Finding("wrong-frontend", text)
        for frontend, (service, _, _) in sorted(known.items()):
            if frontend not in there and service.network in here[node]:
                text = f"maps of {node} lack {_text(frontend)} of service {service.title}"
                yield Finding("missing-frontend", text)


def _text(frontend: Frontend) -> str:
    address, port, protocol = frontend
    return f"{protocol} {address} port {port}"


def _slices_of(service: Service, every: list[Slice]) -> list[Slice]:
    return [
        one
        for one in every
        if one.manager == MANAGER
        and one.owner == service.uid
        and (one.namespace, one.service) == (service.namespace, service.name)
    ]


def _address(entry: InterfaceSet | None, network: str, family: str) -> str:
    """Its first one of that family there; empty: it has none."""
    for interface in entry.interfaces if entry is not None else ():
        if interface.network == network:
            for address in interface.addresses:
                if FAMILIES[family] in plain(address):
                    return plain(address)
    return ""


def _frontends(
    service: Service, every: list[Slice], node: str
) -> Iterator[tuple[Frontend, Targets, bool]]:
    """What clients of a node connect to, where it leads, and whether some are hinted."""
    own = _slices_of(service, every)
    for address in service.addresses:
        family = next(name for name, sign in FAMILIES.items() if sign in address)
        for name, protocol, number in service.ports:
            if protocol not in ("TCP", "UDP"):
                continue
            listed = [
                (endpoint, port)
                for one in own
                if one.family == family
                for port_name, port_protocol, port in one.ports
                if (port_name, port_protocol) == (name, protocol)
                for endpoint in one.endpoints
                if not service.local or endpoint.node == node
            ]
            used = [(one, port) for one, port in listed if one.ready] or [
                (one, port) for one, port in listed if one.serving and one.terminating
            ]
            hinted = any(one.hinted for one, _ in used)
            targets = frozenset((one.address, port) for one, port in used)
            yield (address, number, protocol), targets, hinted
