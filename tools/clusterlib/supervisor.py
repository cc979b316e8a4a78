"""Keeps a machine's programs running and takes orders over a socket.

One thread, one loop: children that ended, orders, and timers for restarts. An order is one line of
JSON, `{"verb": "restart", "component": "kubelet"}`; the answer is one line as well. A stopped
program loses only its own process, not what it started (containers outlive containerd), as with
systemd's KillMode=process.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from clusterlib.components import Component, MachineSpec, parse_environment_file

_STOP_SECONDS = 10.0
_BACKLOG = 1024


@dataclass
class Running:
    """What the supervisor knows of one program. `wanted` says whether it should run."""

    component: Component
    listener: socket.socket | None
    wanted: bool = False
    pid: int = 0
    started: float = 0.0
    starts: int = 0
    next_start: float = 0.0
    last_end: str = ""
    kill_at: float = 0.0


class Supervisor:
    """Process 1's work. `run` returns when SIGTERM arrived and all programs ended."""

    def __init__(self, spec: MachineSpec, control: socket.socket) -> None:
        self._spec = spec
        self._programs = {
            entry.name: Running(entry, _listener(entry), wanted=entry.autostart)
            for entry in spec.components
        }
        self._selector = selectors.DefaultSelector()
        control.setblocking(False)
        self._selector.register(control, selectors.EVENT_READ, self._accept)
        self._wake_up()
        self._ending = False

    def run(self) -> int:
        while True:
            self._reap()
            self._act_on_time()
            if self._ending and not any(entry.pid for entry in self._programs.values()):
                return 0
            for key, _ in self._selector.select(self._until_next()):
                key.data(key.fileobj)

    def _wake_up(self) -> None:
        """Signals turn into bytes on a pipe, so that the loop hears of them."""
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self._end())
        self._selector.register(reader, selectors.EVENT_READ, lambda fd: os.read(fd, 4096))

    def _end(self) -> None:
        self._ending = True
        for entry in self._programs.values():
            self._stop(entry)

    # Programs

    def _start(self, entry: Running) -> None:
        entry.next_start = 0.0
        entry.kill_at = 0.0
        pid = os.fork()
        if pid == 0:
            _become(entry, self._spec)
        entry.pid = pid
        entry.started = time.time()
        entry.starts += 1

    def _stop(self, entry: Running) -> None:
        entry.wanted = False
        entry.next_start = 0.0
        if entry.pid:
            os.kill(entry.pid, signal.SIGTERM)
            entry.kill_at = time.monotonic() + _STOP_SECONDS

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for entry in self._programs.values():
                if entry.pid == pid:
                    self._ended(entry, status)

    def _ended(self, entry: Running, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        entry.last_end = f"signal {-code}" if code < 0 else f"exit code {code}"
        entry.pid = 0
        entry.kill_at = 0.0
        print(f"{time.time():.3f} {entry.component.name} ended: {entry.last_end}", flush=True)
        if entry.wanted:
            entry.next_start = time.monotonic() + entry.component.restart_seconds

    def _act_on_time(self) -> None:
        now = time.monotonic()
        for entry in self._programs.values():
            if entry.pid and entry.kill_at and now >= entry.kill_at:
                os.kill(entry.pid, signal.SIGKILL)
                entry.kill_at = now + _STOP_SECONDS
            if entry.wanted and not entry.pid and now >= entry.next_start and not self._ending:
                self._start(entry)

    def _until_next(self) -> float | None:
        times = [entry.kill_at for entry in self._programs.values() if entry.pid and entry.kill_at]
        times += [
            entry.next_start for entry in self._programs.values() if entry.wanted and not entry.pid
        ]
        return max(0.0, min(times) - time.monotonic()) if times else None

    # Orders

    def _accept(self, control: socket.socket) -> None:
        connection, _ = control.accept()
        with connection:
            connection.settimeout(1.0)
            try:
                line = connection.makefile("r", encoding="utf-8").readline()
                answer = self._obey(json.loads(line))
            except (OSError, ValueError, KeyError, TypeError) as error:
                answer = {"error": f"obey order: {error!r}"}
            try:
                connection.sendall((json.dumps(answer) + "\n").encode())
            except OSError:
                pass

    def _obey(self, order: dict[str, str]) -> dict[str, object]:
        verb = order["verb"]
        if verb == "status":
            return {"components": [_describe(entry) for entry in self._programs.values()]}
        entry = self._programs.get(order["component"])
        if entry is None:
            known = ", ".join(self._programs)
            return {"error": f"{verb} {order['component']}: no such component, want one of {known}"}
        if verb == "start":
            entry.wanted = True
        elif verb == "stop":
            self._stop(entry)
        elif verb == "kill":
            if not entry.pid:
                return {"error": f"kill {entry.component.name}: it isn't running"}
            os.kill(entry.pid, signal.Signals[order.get("signal", "SIGKILL")])
        else:
            return {"error": f"obey order {verb!r}: want one of status, start, stop, kill"}
        return {"component": _describe(entry)}


def _describe(entry: Running) -> dict[str, object]:
    return {
        "name": entry.component.name,
        "pid": entry.pid,
        "wanted": entry.wanted,
        "started": entry.started,
        "starts": entry.starts,
        "last_end": entry.last_end,
        "argv": asdict(entry.component)["argv"],
    }


def _listener(component: Component) -> socket.socket | None:
    if component.listen_fd >= 0:
        return socket.socket(fileno=component.listen_fd)
    if not component.listen:
        return None
    path = Path(component.listen)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(_BACKLOG)
    return listener


def _become(entry: Running, spec: MachineSpec) -> None:
    """Runs in the forked child: becomes the program. Never returns."""
    component = entry.component
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        environment = dict(component.environment)
        if component.environment_file and os.path.exists(component.environment_file):
            environment |= parse_environment_file(Path(component.environment_file).read_text())
        argv = list(component.argv)
        if component.arguments_file and os.path.exists(component.arguments_file):
            argv += Path(component.arguments_file).read_text().splitlines()
        log = os.open(
            f"{spec.logs}/{component.name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644
        )
        os.dup2(log, 1)
        os.dup2(log, 2)
        if entry.listener is not None:
            os.dup2(entry.listener.fileno(), 3, inheritable=True)
            environment |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
            os.closerange(4, 1024)
        else:
            os.closerange(3, 1024)
        os.chdir("/")
        os.execve(argv[0], argv, environment)
    except OSError as error:
        os.write(2, f"start {component.name}: {component.argv[0]}: {error}\n".encode())
    finally:
        os._exit(127)
