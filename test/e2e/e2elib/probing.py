"""Who reaches whom on networks: all pairs of pods, protocols and families at once, in a fraction of a second.

The sockets are this process's own, made in the network namespaces of the pods, so a pod needs no
program and a question no process. SCTP is spoken by hand over raw sockets, an INIT and its answer:
not each kernel has it, and policies judge its packets all the same.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import select
import selectors
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from e2elib.cluster import Cluster
from e2elib.objects import interface_sets
from e2elib.places import pod_place
from e2elib.waiting import wait_until

Who = tuple[str, str]  # namespace, name
PORTS = (80, 81)
PROTOCOLS = ("TCP", "UDP", "SCTP")
FAMILIES = {"IPv4": socket.AF_INET, "IPv6": socket.AF_INET6}

_LIBC = ctypes.CDLL(None, use_errno=True)
_NEW_NET = 0x40000000  # CLONE_NEWNET
_LINGER_NONE = struct.pack("ii", 1, 0)
_AGAIN = 0.2  # seconds until a datagram is sent again
_QUIET = 0.3  # seconds that whoever is denied is listened to at least
_LONGEST_TURN = 0.25
_FILES = 8192
_PATIENCE = 1.5  # of one look, of which TCP needs a part where all passes
_SETTLED_WITHIN = 60.0  # mostly a second
_SCTP = 132
_INIT, _INIT_ACK, _ABORT = 1, 2, 6
_SCTP_TAG = 0x4D554C54
_FIRST_PORT, _PORTS = 20000, 40000


class Packet(NamedTuple):
    network: str
    source: Who
    target: Who
    family: str
    protocol: str
    port: int

    def __str__(self) -> str:
        ends = f"{'/'.join(self.source)} to {'/'.join(self.target)}"
        return f"{ends} on {self.network}, {self.family}, {self.protocol} {self.port}"


Says = Callable[[Packet], bool]
Addresses = Mapping[tuple[str, Who, str], str]  # by network, pod, family


def packets(addresses: Addresses) -> list[Packet]:
    """Of each pod to each, itself too, by each protocol and port."""
    return [
        Packet(network, source, target, family, protocol, port)
        for network, source, family in addresses
        for other, target, its_family in addresses
        if (other, its_family) == (network, family)
        for protocol in PROTOCOLS
        for port in PORTS
    ]


def addresses_of(cluster: Cluster, namespaces: Iterable[str]) -> Addresses:
    """Of all pods there, as the API tells them."""
    found = {}
    for namespace in namespaces:
        for name, told in interface_sets(cluster, namespace).items():
            for one in told["interfaces"]:
                for ip in one["ips"]:
                    key = (str(one["podNetworkName"]), (namespace, name), str(ip["family"]))
                    found[key] = str(ip["address"]).split("/")[0]
    return found


@contextmanager
def inside(netns: int) -> Iterator[None]:
    """This thread in a network namespace; sockets that are made there stay there."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(netns)
        try:
            yield
        finally:
            _enter(own)
    finally:
        os.close(own)


def _enter(netns: int) -> None:
    if _LIBC.setns(netns, _NEW_NET) != 0:
        raise OSError(ctypes.get_errno(), "enter a network namespace")


def netns_of(cluster: Cluster, node: str, who: Who) -> int:
    """A descriptor of a pod's network namespace."""
    _, pid = cluster.record.machine(node)
    place = pod_place(cluster, node, *who)
    return os.open(f"/proc/{pid}/root{place.netns}", os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def probing(cluster: Cluster, pods: Sequence[tuple[str, str, int]]) -> Iterator[Prober]:
    """Of pods by namespace, name and the number of their node."""
    nodes = {(namespace, name): cluster.nodes[node] for namespace, name, node in pods}
    spaces = {namespace for namespace, _, _ in pods}
    made = Prober(cluster, nodes, addresses_of(cluster, sorted(spaces)))
    try:
        yield made
    finally:
        made.close()


def _link_address(netns: int, link: str) -> tuple[str, int]:
    """The address that a link gave itself, and its number."""
    with inside(netns), open("/proc/thread-self/net/if_inet6", encoding="ascii") as lines:
        for line in lines:
            address, number, _, scope, _, name = line.split()
            if (name, scope) == (link, "20"):
                return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(address)), int(number, 16)
    raise AssertionError(f"{link} has no address of the link")


class Prober:
    """Serves at PORTS of each pod, and asks. Of one thread."""

    def __init__(self, cluster: Cluster, nodes: Mapping[Who, str], addresses: Addresses) -> None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(_FILES, most), most))
        self.addresses = addresses
        self._selector = selectors.DefaultSelector()
        self._kept: list[socket.socket] = []
        self._taken: list[socket.socket] = []
        self._raw: dict[tuple[Who, str], socket.socket] = {}
        self._answered: set[Packet] = set()
        self._by_port: dict[int, Packet] = {}
        self._by_number: Sequence[Packet] = ()
        self._round = 0
        self._next_port = 0
        # Descriptors of the pods' namespaces, while this lives.
        self.netns = {who: netns_of(cluster, node, who) for who, node in nodes.items()}
        for who, netns in self.netns.items():
            with inside(netns):
                self._serve(who)

    def reaches_by_link(self, source: Who, target: Who, link: str, port: int) -> bool:
        """By TCP, at the address that the target's link gave itself."""
        address, _ = _link_address(self.netns[target], link)
        _, number = _link_address(self.netns[source], link)
        with inside(self.netns[source]):
            client = socket.socket(socket.AF_INET6)
        with client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
            client.setblocking(False)
            client.connect_ex((address, port, 0, number))
            until = time.monotonic() + _PATIENCE
            while time.monotonic() < until:
                self._handle(0.05)  # the target is served by this process
                if not select.select([], [client], [], 0)[1]:
                    continue
                return client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        return False

    def settle(self, asked: Sequence[Packet], says: Says, what: str) -> None:
        """Until those are answered that should be, and no others; twice in a row, so that what is on
        its way doesn't count."""

        def holds() -> bool:
            for _ in range(2):
                got = self.ask(asked, says, _PATIENCE)
                wrong = [f"{one}: {one in got}" for one in asked if says(one) != (one in got)]
                assert not wrong, "\n".join(wrong[:20])
            return True

        wait_until(holds, _SETTLED_WITHIN, what, 0.05)

    def close(self) -> None:
        for one in self._kept:
            one.close()
        for netns in self.netns.values():
            os.close(netns)
        self._selector.close()

    def ask(
        self, asked: Sequence[Packet], says: Says, patience: float, whole: bool = False
    ) -> set[Packet]:
        """Who was answered. It ends when all were that should be and the others were listened to for
        half as long again, or at the first that shouldn't be, unless `whole`; and when patience does.
        """
        expected = {packet for packet in asked if says(packet)}
        self._round += 1
        self._answered, self._by_number = set(), asked
        begin = time.monotonic()
        clients = self._connect([packet for packet in asked if packet.protocol == "TCP"])
        datagrams = self._datagram_clients()
        try:
            self._number_ports(asked)
            again = begin
            quiet_until = 0.0
            left = patience
            while left > 0:
                turn = time.monotonic()
                if turn >= again:
                    self._send(asked, datagrams)
                    again = time.monotonic() + _AGAIN
                self._handle(min(left, again - turn))
                now = time.monotonic()
                # A machine that stood still meanwhile took nobody's time to answer.
                left -= min(now - turn, _LONGEST_TURN)
                if self._answered - expected and not whole:
                    break
                if not expected <= self._answered or whole:
                    continue
                if len(expected) == len(asked):
                    break
                quiet_until = quiet_until or now + max(_QUIET, (now - begin) / 2)
                if now >= quiet_until:
                    break
            return set(self._answered)
        finally:
            for one in [*clients, *datagrams.values()]:
                self._forget(one)
            for one in self._taken:
                one.close()
            self._taken.clear()

    # Serving

    def _serve(self, who: Who) -> None:
        for port in PORTS:
            taking = socket.create_server(
                ("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=512
            )
            self._keep(taking, self._take)
            echoing = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            echoing.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            echoing.bind(("::", port))
            self._keep(echoing, self._echo)
        for name, family in FAMILIES.items():
            raw = socket.socket(family, socket.SOCK_RAW, _SCTP)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            self._keep(raw, self._take_sctp)
            self._raw[who, name] = raw

    def _keep(self, one: socket.socket, handle: Callable[[socket.socket], None]) -> None:
        one.setblocking(False)
        self._kept.append(one)
        self._selector.register(one, selectors.EVENT_READ, partial(handle, one))

    def _take(self, server: socket.socket) -> None:
        try:
            client, _ = server.accept()
        except OSError:
            return  # gone again
        self._taken.append(client)  # until the round ends: who asks must not find it closed

    def _echo(self, server: socket.socket) -> None:
        for data, where in _received(server):
            _send(server, data, where)

    def _take_sctp(self, raw: socket.socket) -> None:
        for data, where in _received(raw):
            if raw.family == socket.AF_INET:
                data = data[(data[0] & 15) * 4 :]
            source, target, _, _, kind = struct.unpack_from("!HHIIB", data)
            if kind == _INIT and target in PORTS:
                (tag,) = struct.unpack_from("!I", data, 16)
                _send(raw, _sctp(target, source, tag, _INIT_ACK), where)
            elif kind in (_INIT_ACK, _ABORT) and target in self._by_port:
                self._answered.add(self._by_port[target])

    # Asking

    def _connect(self, asked: Sequence[Packet]) -> list[socket.socket]:
        clients = []
        for who, netns in self.netns.items():
            mine = [packet for packet in asked if packet.source == who]
            with inside(netns):
                made = [socket.socket(FAMILIES[packet.family]) for packet in mine]
            clients += made
            for client, packet in zip(made, mine):
                client.setblocking(False)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
                client.connect_ex((self._address(packet), packet.port))
                handle = partial(self._connected, client, packet)
                self._selector.register(client, selectors.EVENT_WRITE, handle)
        return clients

    def _connected(self, client: socket.socket, packet: Packet) -> None:
        if client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
            self._answered.add(packet)
        self._selector.unregister(client)

    def _datagram_clients(self) -> dict[tuple[Who, str], socket.socket]:
        """Of new ports, so that each packet begins a flow."""
        made = {}
        for who, netns in self.netns.items():
            with inside(netns):
                for name, family in FAMILIES.items():
                    client = socket.socket(family, socket.SOCK_DGRAM)
                    client.setblocking(False)
                    made[who, name] = client
                    handle = partial(self._heard, client)
                    self._selector.register(client, selectors.EVENT_READ, handle)
        return made

    def _heard(self, client: socket.socket) -> None:
        for data, _ in _received(client):
            of_round, number = struct.unpack("!II", data)
            if of_round == self._round:
                self._answered.add(self._by_number[number])

    def _number_ports(self, asked: Sequence[Packet]) -> None:
        self._by_port = {}
        for packet in asked:
            if packet.protocol == "SCTP":
                self._by_port[_FIRST_PORT + self._next_port] = packet
                self._next_port = (self._next_port + 1) % _PORTS

    def _send(self, asked: Sequence[Packet], clients: Mapping[Any, socket.socket]) -> None:
        """Datagrams to all that didn't answer yet."""
        for number, packet in enumerate(asked):
            if packet.protocol == "UDP" and packet not in self._answered:
                client = clients[packet.source, packet.family]
                data = struct.pack("!II", self._round, number)
                _send(client, data, (self._address(packet), packet.port))
        for port, packet in self._by_port.items():
            if packet not in self._answered:
                data = _sctp(port, packet.port, 0, _INIT)
                raw = self._raw[packet.source, packet.family]
                _send(raw, data, (self._address(packet), 0))

    def _address(self, packet: Packet) -> str:
        return self.addresses[packet.network, packet.target, packet.family]

    def _handle(self, seconds: float) -> None:
        for key, _ in self._selector.select(max(0.0, min(seconds, 0.05))):
            key.data()

    def _forget(self, one: socket.socket) -> None:
        if one.fileno() in self._selector.get_map():
            self._selector.unregister(one)
        one.close()


def _received(one: socket.socket) -> Iterator[tuple[bytes, Any]]:
    """What waits there."""
    while True:
        try:
            yield one.recvfrom(2048)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK):
                return  # else it is of an earlier datagram, such as that nobody is there


def _send(one: socket.socket, data: bytes, where: Any) -> None:
    """What can't be sent now, as where rules of the pod refuse it, is sent again later."""
    try:
        one.sendto(data, where)
    except OSError as error:
        if error.errno not in _LATER:
            raise


_LATER = (errno.EAGAIN, errno.EPERM, errno.ENOBUFS, errno.EHOSTUNREACH, errno.ECONNREFUSED)


def _table() -> list[int]:
    """Of CRC32c (RFC 9260, appendix A)."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC = _table()


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _sctp(source: int, target: int, tag: int, kind: int) -> bytes:
    """An INIT, or its answer without the cookie that it would have: nobody goes on with it."""
    chunk = struct.pack("!BBHIIHHI", kind, 0, 20, _SCTP_TAG, 65535, 1, 1, 1)
    ports = struct.pack("!HHI", source, target, tag)
    checksum = struct.pack("<I", _crc32c(ports + bytes(4) + chunk))
    return ports + checksum + chunk
