"""Connections between pods that are asked for a word every few milliseconds, to see when one falls silent."""

from __future__ import annotations

import selectors
import socket
import struct
import time
from dataclasses import dataclass

from e2elib.probing import FAMILIES, inside

_EVERY = 0.005  # seconds between words
_PORT = 7001
_LINGER_NONE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Way:
    """From whom to whom: descriptors of network namespaces, and the address that is called."""

    name: str
    source: int
    target: int
    family: str
    protocol: str
    address: str


class Talk:
    """One connection, echoed by its other end."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.heard = 0.0  # when the last word came back
        family = FAMILIES[way.family]
        kind = socket.SOCK_STREAM if way.protocol == "TCP" else socket.SOCK_DGRAM
        with inside(way.target):
            self._server = socket.socket(family, kind)
        with inside(way.source):
            self._client = socket.socket(family, kind)
        self._server.bind((way.address, 0))
        where = self._server.getsockname()[:2]
        if way.protocol == "TCP":
            self._server.listen(1)
            self._client.settimeout(5)
            self._client.connect(where)
            self._echo, _ = self._server.accept()
            for one in (self._client, self._echo):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self._client.connect(where)
            self._echo = self._server
        for one in (self._client, self._echo):
            one.setblocking(False)

    def close(self) -> None:
        for one in (self._client, self._echo, self._server):
            one.close()

    def listen(self, selector: selectors.BaseSelector) -> None:
        selector.register(self._client, selectors.EVENT_READ, self._hear)
        selector.register(self._echo, selectors.EVENT_READ, self._answer)

    def say(self) -> None:
        try:
            self._client.send(b".")
        except OSError:
            pass  # what is full or refused is silent

    def _hear(self) -> None:
        try:
            if self._client.recv(4096):
                self.heard = time.monotonic()
        except OSError:
            pass

    def _answer(self) -> None:
        try:
            data, where = self._echo.recvfrom(4096)
            self._echo.sendto(data, where) if where else self._echo.send(data)
        except OSError:
            pass


class Talks:
    """All at once, of one thread."""

    def __init__(self, ways: list[Way]) -> None:
        self._talks = [Talk(way) for way in ways]
        self._selector = selectors.DefaultSelector()
        for one in self._talks:
            one.listen(self._selector)

    def close(self) -> None:
        self._selector.close()
        for one in self._talks:
            one.close()

    def go_on(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            for one in self._talks:
                one.say()
            while (left := now + _EVERY - time.monotonic()) > 0:
                for key, _ in self._selector.select(left):
                    key.data()

    def heard_after(self, moment: float) -> dict[Way, float]:
        """Seconds from then on until each was heard last; less than none for who fell silent before."""
        return {one.way: one.heard - moment for one in self._talks}
