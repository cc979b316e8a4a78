"""Frames written byte by byte: who sends them from a pod's namespace with raw sockets, and who hears them
in another's."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from struct import pack

from e2elib.cluster import Cluster
from e2elib.places import pod_place

FORGED, LAST = b"forged-by-a-pod", b"last-of-a-pod"
EVERYBODY = "ff:ff:ff:ff:ff:ff"
_SECONDS = 40

# Says "ready", then counts frames with the first word until one with the second one comes.
_HEAR = f"""
import socket, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind((sys.argv[1], 3))
s.settimeout({_SECONDS})
print("ready", flush=True)
seen = 0
end = time.monotonic() + {_SECONDS}
while time.monotonic() < end:
    frame, where = s.recvfrom(65536)
    if where[2] == socket.PACKET_OUTGOING:
        continue
    if sys.argv[2].encode() in frame:
        seen += 1
    if sys.argv[3].encode() in frame:
        print("seen", seen, flush=True)
        sys.exit(0)
sys.exit("nothing of the honest pod came")
"""

# The last one several times: a bridge or a tunnel may still be learning.
_SEND = """
import errno, socket, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
if len(sys.argv) > 4:
    s.setsockopt(263, 20, 1)  # PACKET_QDISC_BYPASS
for frame in sys.argv[2].split(","):
    try:
        if frame:
            s.send(bytes.fromhex(frame))
    except OSError as error:
        if error.errno != errno.ENOBUFS:  # dropped by rules that the sender's own call passes
            raise
for _ in range(20):
    s.send(bytes.fromhex(sys.argv[3]))
    time.sleep(0.05)
"""


@dataclass(frozen=True)
class Who:
    """A pod's interface as the API tells it."""

    name: str
    node: str
    mac: str
    v4: str
    v6: str


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _ip(text: str) -> bytes:
    return ip_address(text).packed


def ethernet(to: str, source: str, kind: int, payload: bytes) -> bytes:
    return _mac(to) + _mac(source) + pack("!H", kind) + payload


def arp(operation: int, mac: str, source: str, target: str, mark: bytes = FORGED) -> bytes:
    head = pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    return head + _mac(mac) + _ip(source) + bytes(6) + _ip(target) + mark


def udp(source: int, target: int, mark: bytes = FORGED) -> bytes:
    return pack("!HHHH", source, target, 8 + len(mark), 0) + mark


def ipv4(source: str, target: str, payload: bytes) -> bytes:
    def header(checksum: int) -> bytes:
        length = 20 + len(payload)
        first = pack("!BBHHHBBH", 0x45, 0, length, 7, 0, 64, 17, checksum)
        return first + _ip(source) + _ip(target)

    bare = header(0)
    total = sum(bare[i] * 256 + bare[i + 1] for i in range(0, 20, 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return header(~total & 0xFFFF) + payload


def ipv6(source: str, target: str, following: int, payload: bytes) -> bytes:
    return (
        pack("!IHBB", 0x60000000, len(payload), following, 255)
        + _ip(source)
        + _ip(target)
        + payload
    )


def icmpv6(kind: int, rest: bytes) -> bytes:
    return pack("!BBH", kind, 0, 0) + rest + FORGED


def forgeries(me: Who, victim: Who, other: Who) -> dict[str, bytes]:
    """Frames of `me` to `victim` that claim to be `other`'s or a router's, by the reason of their drop."""
    claim = arp(2, me.mac, other.v4, victim.v4)
    own = ipv4(me.v4, victim.v4, udp(5000, 5001))
    return {
        "source_mac": ethernet(EVERYBODY, other.mac, 0x0806, arp(1, me.mac, me.v4, victim.v4)),
        "ethertype": _mac(victim.mac) + _mac(me.mac) + bytes.fromhex("81000005") + b"\x08\x00" + own,
        "source_ipv4": ethernet(
            victim.mac, me.mac, 0x0800, ipv4(other.v4, victim.v4, udp(5000, 5001))
        ),
        "source_ipv6": ethernet(
            victim.mac, me.mac, 0x86DD, ipv6(other.v6, victim.v6, 17, udp(5000, 5001))
        ),
        "arp": ethernet(victim.mac, me.mac, 0x0806, claim),
        "neighbour": ethernet(
            victim.mac, me.mac, 0x86DD,
            ipv6(me.v6, "ff02::1", 58, icmpv6(136, bytes(4) + _ip(other.v6))),
        ),
        "router": ethernet(
            victim.mac, me.mac, 0x86DD, ipv6(me.v6, "ff02::1", 58, icmpv6(134, bytes(12)))
        ),
        "dhcp": ethernet(victim.mac, me.mac, 0x0800, ipv4(me.v4, victim.v4, udp(67, 68))),
        "tunnel": ethernet(victim.mac, me.mac, 0x0800, ipv4(me.v4, victim.v4, udp(5000, 4799))),
    }  # fmt: skip


def heard(
    cluster: Cluster,
    namespace: str,
    sender: Who,
    receiver: Who,
    frames: Sequence[bytes],
    *more: str,
) -> int:
    """How many of the frames come out at the receiver's net1. An honest one follows them: it must come."""
    ears = pod_place(cluster, receiver.node, namespace, receiver.name)
    mouth = pod_place(cluster, sender.node, namespace, sender.name)
    honest = arp(1, sender.mac, sender.v4, receiver.v4, LAST)
    last = ethernet(EVERYBODY, sender.mac, 0x0806, honest)
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "heard"
        words = (FORGED.decode(), LAST.decode())
        command = ["nsenter", f"--net={ears.netns}", "python3", "-c", _HEAR, "net1", *words]
        process = cluster.node_begin(receiver.node, command, log)
        try:
            cluster.wait(lambda: "ready" in log.read_text(), 20, f"raw socket of {receiver.name}")
            text = ",".join(frame.hex() for frame in frames)
            mouth.run("python3", "-c", _SEND, "net1", text, last.hex(), *more)
            assert process.wait(_SECONDS + 10) == 0, log.read_text()
            return int(log.read_text().split()[-1])
        finally:
            process.kill()
            process.wait(10)


def drops(cluster: Cluster, node: str) -> Callable[[str], int]:
    """Frames that ports of a node have dropped so far, by reason."""
    url = "http://127.0.0.1:9091/metrics"
    read = f"import urllib.request as u; print(u.urlopen({json.dumps(url)}, timeout=10).read().decode())"
    counts = {}
    for line in cluster.node_exec(node, "python3", "-c", read).splitlines():
        if line.startswith("multinet_agent_port_security_drops{"):
            reason = line.split('"')[1]
            counts[reason] = int(float(line.split()[-1]))
    return lambda reason: counts.get(reason, 0)
