"""The file system of a machine that runs systemd, made of what is installed here.

So units are tried under the systemd that nodes have, and nothing is downloaded. Neither udev nor D-Bus is
in it: systemctl needs none.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from clusterlib.errors import EXIT_UNUSABLE, ClusterError
from clusterlib.image import shared_libraries
from clusterlib.run import run

_UNITS = Path("/usr/lib/systemd/system")
_MERGED = ("bin", "sbin", "lib", "lib64")
"""Debian's links from / into /usr."""
_DIRECTORIES = ("dev", "etc", "proc", "root", "run", "sys", "tmp", "usr/local/bin", "var/tmp")
_SYSTEMD = ("systemd", "systemd-journald", "systemd-shutdown", "systemd-cgroups-agent")
_TOOLS = ("systemctl", "journalctl", "ip", "nft", "mount", "umount", "nsenter")
_KEPT_UNITS = (
    *("*.target", "*.slice", "systemd-journald*", "systemd-reboot.service"),
    "systemd-poweroff.service",
)
_TEXTS = {
    "/etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    "/etc/group": "root:x:0:\nadm:x:4:\nsystemd-journal:x:101:\nnogroup:x:65534:\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "/etc/systemd/journald.conf": "[Journal]\nStorage=volatile\n",
    "/etc/systemd/system.conf": "[Manager]\nShowStatus=no\n",
}


class Root:
    """Files below a directory. Places are paths as the machine sees them."""

    def __init__(self, directory: Path) -> None:
        self._top = directory
        for name in (*_DIRECTORIES, *(f"usr/{merged}" for merged in _MERGED)):
            (directory / name).mkdir(parents=True)
        for name in _MERGED:
            (directory / name).symlink_to(f"usr/{name}")

    def place(self, path: str) -> Path:
        """Where a file of the machine lies now; its directory is made."""
        here = self._top / path.lstrip("/")
        here.parent.mkdir(parents=True, exist_ok=True)
        return here

    def text(self, path: str, content: str, mode: int = 0o644) -> None:
        here = self.place(path)
        here.write_text(content)
        here.chmod(mode)

    def file(self, path: str, source: Path) -> None:
        here = self.place(path)
        here.unlink(missing_ok=True)
        shutil.copy(source, here)

    def link(self, path: str, target: str) -> None:
        here = self.place(path)
        here.unlink(missing_ok=True)
        here.symlink_to(target)

    def tree(self, path: str, source: Path) -> None:
        shutil.copytree(source, self.place(path), symlinks=True, dirs_exist_ok=True)

    def program(self, source: Path, path: str = "") -> None:
        """A program and the libraries that it is linked with."""
        self.file(path or str(source), source)
        self.libraries(source)

    def libraries(self, program: Path) -> None:
        for library in shared_libraries(program):
            self.file(str(library), library.resolve())

    def systemd(self) -> None:
        """systemd as this machine has it, and a busybox for nearly all else."""
        missing = [name for name in _SYSTEMD if not (_UNITS.parent / name).is_file()]
        if missing:
            raise ClusterError(
                f"pack systemd: {', '.join(missing)} not installed; run tools/install-deps",
                EXIT_UNUSABLE,
            )
        busybox = _installed("busybox")
        self.file("/bin/busybox", busybox)
        for applet in run([str(busybox), "--list"]).stdout.split():
            if applet != "busybox":
                self.link(f"/bin/{applet}", "busybox")
        for name in _SYSTEMD:
            self.program(_UNITS.parent / name)
        for name in _TOOLS:
            self.program(_installed(name), f"/usr/bin/{name}")
        for pattern in _KEPT_UNITS:
            for unit in _UNITS.glob(pattern):
                if unit.is_dir():  # what a target pulls in would be looked for
                    continue
                if unit.is_symlink():
                    self.link(str(unit), os.readlink(unit))
                else:
                    self.file(str(unit), unit)
        self.link("/etc/systemd/system/default.target", "/lib/systemd/system/multi-user.target")
        self.link("/var/run", "../run")
        for path, content in _TEXTS.items():
            self.text(path, content)

    def unit(self, name: str, content: str, wanted_by: str = "multi-user.target") -> None:
        """A unit of the machine's own, enabled."""
        self.text(f"/etc/systemd/system/{name}", content)
        self.link(f"/etc/systemd/system/{wanted_by}.wants/{name}", f"../{name}")


def _installed(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise ClusterError(f"pack {name}: not installed; run tools/install-deps", EXIT_UNUSABLE)
    return Path(found).resolve()
