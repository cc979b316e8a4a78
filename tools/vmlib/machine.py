"""The virtual machine itself: qemu, its console, and the end that a run came to."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clusterlib.errors import EXIT_UNUSABLE, ClusterError
from vmlib.kernel import Kernel

QEMU = "qemu-system-x86_64"
EXIT_SKIPPED = 77
BOOT_SECONDS = 120.0
_MEMORY = "1G"
_POLL_SECONDS = 0.05
_TAIL_LINES = 60
_UP = "vm: up"
_DONE = "vm: done"
_PANIC = re.compile(r"Kernel panic - not syncing: (.*)")
_SPLAT = re.compile(
    r"^(?!vm: ).*\b(?:BUG|WARNING|INFO: rcu\w* .*stalls?|unregister_netdevice: waiting)\b.*",
    re.MULTILINE,
)
# Returned to again and again: the translator kept an instruction that the kernel has since replaced
# (jump labels, text_poke_bp), and both processors wait there for each other.
_STUCK = re.compile(r"RIP: 0010:asm_exc_int3\+")
_TIME = re.compile(r"^\[ *\d+\.\d+\] ", re.MULTILINE)
_PR_SET_PDEATHSIG = 1


class Stuck(ClusterError):
    """An emulated machine that its emulator keeps from going on; another try doesn't meet the same."""


@dataclass(frozen=True)
class Machine:
    kernel: Kernel
    archive: Path  # the initramfs
    console: Path
    results: Path

    def run(self, seconds: float) -> None:
        """Boots, and comes back when the machine has ended itself.

        Raises ClusterError with the end of the console when it doesn't come up, hangs, or its kernel
        panics; Stuck where the emulator is why.
        """
        for file in (self.console, self.results):
            file.write_bytes(b"")
        serial = [*("-serial", f"file:{self.console}"), *("-serial", f"file:{self.results}")]
        begin = time.monotonic()
        with subprocess.Popen(
            self._command(serial),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=die_with_parent(),
        ) as qemu:
            try:
                self._follow(qemu, begin, seconds)
            finally:
                if qemu.poll() is None:
                    qemu.kill()

    def interactive(self) -> int:
        """Gives the machine's console to the caller's terminal."""
        serial = ["-serial", "mon:stdio", "-serial", "null"]
        return subprocess.run(self._command(serial), check=False).returncode

    def up(self) -> bool:
        return _UP in self.said()

    def said(self) -> str:
        return self.console.read_text(errors="replace").replace("\r", "")

    def tail(self) -> str:
        lines = [f"    {line}" for line in self.said().splitlines()[-_TAIL_LINES:]]
        return "\n".join(["console:", *(lines or ["    (nothing)"])])

    def splat(self) -> str:
        """What the kernel complained about, if it did; a test that passed shows nothing of it."""
        found = _SPLAT.search(_TIME.sub("", self.said()))
        return found.group(0) if found else ""

    def _follow(self, qemu: subprocess.Popen[str], begin: float, seconds: float) -> None:
        up = False
        while not _ended(qemu):
            elapsed = time.monotonic() - begin
            up = up or self.up()
            if emulated() and _STUCK.search(self.said()):
                raise Stuck(f"the emulator holds the virtual machine up; {self.tail()}")
            if elapsed > seconds or (not up and elapsed > BOOT_SECONDS):
                self._raise_if_panicked()
                what = "ended" if up else "booted"
                raise ClusterError(
                    f"virtual machine hasn't {what} after {elapsed:.0f} s; {self.tail()}"
                )
        self._raise_if_panicked()
        if not self.up():
            assert qemu.stdout
            told = qemu.stdout.read().strip() or f"exit code {qemu.returncode}"
            raise ClusterError(f"virtual machine ended before it was up: {told}; {self.tail()}")
        if _DONE not in self.said():
            raise ClusterError(f"virtual machine ended before its tests had; {self.tail()}")

    def _raise_if_panicked(self) -> None:
        if panic := _PANIC.search(self.said()):
            raise ClusterError(
                f"kernel panic in the virtual machine: {panic.group(1)}; {self.tail()}"
            )

    def _command(self, serial: list[str]) -> list[str]:
        kvm, tcg = ("-accel", "kvm", "-cpu", "host"), ("-accel", "tcg,thread=multi", "-cpu", "max")
        processor = tcg if emulated() else kvm
        return [
            *(QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-machine", "pc", *processor, "-smp", str(os.cpu_count() or 2), "-m", _MEMORY),
            *("-kernel", str(self.kernel.image), "-initrd", str(self.archive)),
            # An oops ends the run as a panic does; qemu ends instead of booting again.
            *("-append", "console=ttyS0 loglevel=5 oops=panic panic=-1"),
            *serial,
        ]


def emulated() -> bool:
    """Whether qemu must translate instructions itself, since there is no KVM for us.

    A /dev/kvm alone says little: where the processor's own help is missing, a guest needs a kernel
    that was made for it.
    """
    flags = re.search(r"^flags\s*:.*\b(?:vmx|svm)\b", _read("/proc/cpuinfo"), re.MULTILINE)
    return not (flags and os.access("/dev/kvm", os.R_OK | os.W_OK))


def check() -> None:
    """Raises ClusterError when this machine can't run one."""
    if platform.machine() != "x86_64":
        raise ClusterError(
            f"SKIPPED: the virtual machine is made for x86_64, and this is {platform.machine()}",
            EXIT_SKIPPED,
        )
    missing = [name for name in (QEMU, "busybox", "strip", "dpkg") if shutil.which(name) is None]
    if missing:
        raise ClusterError(
            f"start a virtual machine: {', '.join(missing)} not installed; run tools/install-deps",
            EXIT_UNUSABLE,
        )


def _ended(qemu: subprocess.Popen[str]) -> bool:
    try:
        qemu.wait(_POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def die_with_parent() -> Callable[[], None]:
    libc = ctypes.CDLL(None, use_errno=True)
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
