"""EndpointSlices as the store has them: protobuf in Kubernetes' envelope (k8s.io/api/discovery/v1/generated.proto)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_MAGIC = b"k8s\0"


def slice_of(data: bytes) -> dict[str, Any]:
    """Labels, and of each endpoint its pod's UID and its addresses; empty where it is no such object."""
    if not data.startswith(_MAGIC):
        return {}
    raw = b"".join(_all(data[len(_MAGIC) :], 2))
    labels: dict[str, str] = {}
    for metadata in _all(raw, 1):
        for entry in _all(metadata, 11):
            labels[_text(entry, 1)] = _text(entry, 2)
    endpoints = [
        {
            "uid": "".join(_text(one, 4) for one in _all(endpoint, 4)),
            "addresses": [one.decode() for one in _all(endpoint, 1)],
        }
        for endpoint in _all(raw, 2)
    ]
    return {"labels": labels, "endpoints": endpoints}


def _text(message: bytes, field: int) -> str:
    return b"".join(_all(message, field)).decode()


def _all(message: bytes, field: int) -> list[bytes]:
    return [value for number, value in _fields(message) if number == field]


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Those that have a length; numbers are passed over."""
    at = 0
    while at < len(message):
        key, at = _number(message, at)
        kind = key & 7
        if kind == 0:
            _, at = _number(message, at)
        elif kind == 2:
            size, at = _number(message, at)
            yield key >> 3, message[at : at + size]
            at += size
        else:
            at += {1: 8, 5: 4}[kind]


def _number(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
