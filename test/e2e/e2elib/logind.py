"""As much of a system bus, with logind on it, as a kubelet needs to hear that its node shuts down: the wire format of
D-Bus (https://dbus.freedesktop.org/doc/dbus-specification.html) and org.freedesktop.login1.Manager."""

from __future__ import annotations

import array
import os
import socket
import struct
import threading
from pathlib import Path

_CALL, _RETURN, _ERROR, _SIGNAL = 1, 2, 3, 4
_PATH, _INTERFACE, _MEMBER, _REPLY, _SENDER, _SIGNATURE, _FDS = 1, 2, 3, 5, 7, 8, 9
_MANAGER = "org.freedesktop.login1.Manager"
_DELAY_US = (
    600 * 1000 * 1000
)  # what the kubelet asks for is less, so it leaves logind's files alone


def _padded(data: bytes, to: int) -> bytes:
    return data + bytes(-len(data) % to)


def _string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<I", len(raw)) + raw + b"\0"


def _signature(text: str) -> bytes:
    return bytes([len(text)]) + text.encode() + b"\0"


def _field(code: int, kind: str, value: bytes) -> bytes:
    """One header field, to stand at a multiple of eight."""
    start = bytes([code]) + _signature(kind)
    return (_padded(start, 4) if kind != "g" else start) + value


def message(kind: int, serial: int, fields: list[bytes], body: bytes) -> bytes:
    together = b""
    for one in fields:
        together = _padded(together, 8) + one
    head = struct.pack("<cBBBIII", b"l", kind, 0, 1, len(body), serial, len(together))
    return _padded(head + together, 8) + body


class _Peer:
    """One connection of the kubelet's."""

    def __init__(self, link: socket.socket, logind: Logind) -> None:
        self._link = link
        self._logind = logind
        self._got = b""
        self._serial = 0
        self._sending = threading.Lock()

    def serve(self) -> None:
        with self._link:
            try:
                self._greet()
                while True:
                    self._answer(*self._message())
            except (EOFError, OSError):
                pass
            finally:
                self._logind.peers.discard(self)

    def signal(self, active: bool) -> None:
        fields = [
            _field(_PATH, "o", _string("/org/freedesktop/login1")),
            _field(_INTERFACE, "s", _string(_MANAGER)),
            _field(_MEMBER, "s", _string("PrepareForShutdown")),
            _field(_SENDER, "s", _string("org.freedesktop.login1")),
            _field(_SIGNATURE, "g", _signature("b")),
        ]
        self._send(_SIGNAL, fields, struct.pack("<I", int(active)))

    def _read(self, size: int) -> bytes:
        while len(self._got) < size:
            more = self._link.recv(4096)
            if not more:
                raise EOFError
            self._got += more
        data, self._got = self._got[:size], self._got[size:]
        return data

    def _line(self) -> str:
        line = b""
        while not line.endswith(b"\r\n"):
            line += self._read(1)
        return line.decode().strip("\0\r\n")

    def _greet(self) -> None:
        while True:
            said = self._line()
            if said == "AUTH EXTERNAL":
                self._link.sendall(b"DATA\r\n")
            elif said.startswith(("AUTH EXTERNAL ", "DATA")):
                self._link.sendall(b"OK 0123456789abcdef0123456789abcdef\r\n")
            elif said == "NEGOTIATE_UNIX_FD":
                self._link.sendall(b"AGREE_UNIX_FD\r\n")
            elif said == "BEGIN":
                return
            else:
                self._link.sendall(b"REJECTED EXTERNAL\r\n")

    def _message(self) -> tuple[int, str]:
        """Serial and member of a call; all else is passed over."""
        while True:
            head = self._read(16)
            _, kind, _, _, size, serial, length = struct.unpack("<cBBBIII", head)
            fields = self._read(length + -length % 8)[:length]
            self._read(size)
            if kind == _CALL:
                return serial, self._member(fields)

    @staticmethod
    def _member(fields: bytes) -> str:
        at = 0
        while at < len(fields):
            at += -at % 8
            code, length = fields[at], fields[at + 1]
            kind = fields[at + 2 : at + 2 + length].decode()
            at += 3 + length
            if kind == "g":
                at += 2 + fields[at]
                continue
            at += -at % 4
            (size,) = struct.unpack_from("<I", fields, at)
            at += 4
            if kind == "u":
                continue
            if code == _MEMBER:
                return fields[at : at + size].decode()
            at += size + 1
        return ""

    def _answer(self, serial: int, member: str) -> None:
        to = _field(_REPLY, "u", struct.pack("<I", serial))
        if member == "Hello":
            self._reply(to, "s", _string(":1.1"))
        elif member == "Get":  # the one property that is asked for
            self._reply(to, "v", _padded(_signature("t"), 8) + struct.pack("<Q", _DELAY_US))
        elif member == "Inhibit":
            self._inhibit(to)
        elif member in ("AddMatch", "RemoveMatch"):
            self._reply(to, "", b"")
            if member == "AddMatch":
                self._logind.peers.add(self)
        else:
            failed = _field(4, "s", _string("org.freedesktop.DBus.Error.UnknownMethod"))
            self._send(_ERROR, [to, failed], b"")

    def _reply(self, to: bytes, kind: str, body: bytes) -> None:
        self._send(
            _RETURN, [to, *([_field(_SIGNATURE, "g", _signature(kind))] if kind else [])], body
        )

    def _inhibit(self, to: bytes) -> None:
        """The caller holds up the shutdown for as long as it has its end of a pipe."""
        ours, theirs = os.pipe()
        try:
            fields = [to, _field(_SIGNATURE, "g", _signature("h"))]
            fields.append(_field(_FDS, "u", struct.pack("<I", 1)))
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs]))
            with self._sending:
                self._serial += 1
                data = message(_RETURN, self._serial, fields, struct.pack("<I", 0))
                self._link.sendmsg([data], [rights])
        finally:
            os.close(theirs)
        self._logind.inhibitors.append(ours)

    def _send(self, kind: int, fields: list[bytes], body: bytes) -> None:
        with self._sending:
            self._serial += 1
            self._link.sendall(message(kind, self._serial, fields, body))


class Logind:
    """Serves at a unix socket within `with`."""

    def __init__(self, place: Path) -> None:
        self.peers: set[_Peer] = set()  # who wants to hear
        self.inhibitors: list[int] = []
        self._place = place
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def __enter__(self) -> Logind:
        self._place.unlink(missing_ok=True)
        self._listening.bind(str(self._place))
        self._listening.listen()
        threading.Thread(target=self._accept, name="logind", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._place.unlink(missing_ok=True)
        for one in self.inhibitors:
            os.close(one)

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=_Peer(link, self).serve, daemon=True).start()

    def prepare_for_shutdown(self, active: bool = True) -> None:
        for one in list(self.peers):
            one.signal(active)

    def is_held_up(self) -> bool:
        """Whether anybody still has its end of what Inhibit gave it."""
        for one in self.inhibitors:
            os.set_blocking(one, False)
            try:
                if os.read(one, 1):
                    continue
            except BlockingIOError:
                return True
        return False
