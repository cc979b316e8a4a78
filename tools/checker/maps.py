"""The maps of a node's translation, read from where the agent keeps them. Layout: nodeagent/services/program/layout.h."""

from __future__ import annotations

import ipaddress
import json
import struct
import sys

from checker.facts import Frontend, Targets

# Prints the entries of `services` and `slots` as lists of pairs in hexadecimal; null where there are no maps. Runs in
# the node. Of several generations the oldest counts (docs/decisions/0123-maps-that-grow.md).
_READER = """
import ctypes, json, os, platform, sys
libc = ctypes.CDLL(None, use_errno=True)
NUMBER = {"x86_64": 321, "aarch64": 280}[platform.machine()]
GET, LOOKUP, NEXT = 7, 1, 4
def bpf(command, attribute):
    data = ctypes.create_string_buffer(attribute, 128)
    return libc.syscall(NUMBER, command, data, 128)
def word(pointer):
    return ctypes.addressof(pointer).to_bytes(8, "little")
def read(path, key_size, value_size):
    name = ctypes.create_string_buffer(path.encode())
    map_fd = bpf(GET, word(name))
    if map_fd < 0:
        sys.exit(f"open {path}: {os.strerror(ctypes.get_errno())}")
    key, following = (ctypes.create_string_buffer(key_size) for _ in range(2))
    value = ctypes.create_string_buffer(value_size)
    entries, first = [], True
    while True:
        at = bytes(8) if first else word(key)
        if bpf(NEXT, map_fd.to_bytes(8, "little") + at + word(following)) != 0:
            break
        ctypes.memmove(key, following, key_size)
        first = False
        if bpf(LOOKUP, map_fd.to_bytes(8, "little") + word(key) + word(value)) == 0:
            entries.append([key.raw.hex(), value.raw.hex()])
    os.close(map_fd)
    return entries
places = ["/run/multinet/bpf/v2"] + [f"/run/multinet/bpf/v2-{one}" for one in range(1, 17)]
for place in places:
    if os.path.exists(place + "/services"):
        print(json.dumps([read(place + "/services", 20, 24), read(place + "/slots", 8, 20)]))
        break
else:
    print("null")
"""

READER = (sys.executable, "-c", _READER)
_PROTOCOLS = {6: "TCP", 17: "UDP"}


def decode(text: str) -> dict[Frontend, Targets] | None:
    """What the reader printed; None where the node has no maps."""
    told = json.loads(text)
    if told is None:
        return None
    services, slots = told
    backends = {}
    for key, value in slots:
        address, port = struct.unpack("!16sH2x", bytes.fromhex(value))
        backends[struct.unpack("=II", bytes.fromhex(key))] = (_address(address), port)
    found = {}
    for key, value in services:
        address, port, protocol = struct.unpack("!16sHBx", bytes.fromhex(key))
        _, identity, count, _, _ = struct.unpack("=QIIII", bytes.fromhex(value))
        frontend = (_address(address), port, _PROTOCOLS[protocol])
        found[frontend] = frozenset(backends[identity, index] for index in range(count))
    return found


def _address(raw: bytes) -> str:
    address = ipaddress.IPv6Address(raw)
    return str(address.ipv4_mapped or address)
