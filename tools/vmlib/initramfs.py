"""What the virtual machine boots into: a cpio archive of programs, their libraries, and modules."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from clusterlib.errors import EXIT_UNUSABLE, ClusterError
from clusterlib.run import run
from vmlib.kernel import Kernel

_HERE = Path(__file__).resolve().parent
_SCRIPTS = ("init", "run-one")
_LIBRARY = re.compile(r"(?:=>\s+)?(/\S+) \(0x[0-9a-f]+\)")
_MISSING = re.compile(r"^\s*(\S+) => not found", re.MULTILINE)
_TRAILER = "TRAILER!!!"


@dataclass
class Contents:
    """Files of the archive by their path in the machine."""

    files: dict[str, Path | bytes] = field(default_factory=dict)

    def put_program(self, program: Path, place: str, scratch: Path) -> None:
        """A program without its debug information, and the libraries that it is linked with."""
        self.put_libraries(program)
        stripped = scratch / place.strip("/").replace("/", "_")
        done = run(["strip", "--strip-debug", "-o", str(stripped), str(program)], check=False)
        self.files[place] = stripped if done.returncode == 0 else program

    def put_libraries(self, program: Path) -> None:
        done = run(["ldd", str(program)], check=False)
        if missing := _MISSING.findall(done.stdout):
            raise ClusterError(f"pack {program}: no library {', '.join(missing)}", EXIT_UNUSABLE)
        for library in _LIBRARY.findall(done.stdout):  # none: it is linked statically
            self.files[library] = Path(library).resolve()


def find_program(name: str) -> Path:
    """A path, or the name of a program of this machine."""
    found = name if "/" in name else shutil.which(name)
    if not found or not os.access(found, os.X_OK) or Path(found).is_dir():
        raise ClusterError(f"pack {name}: no such program; build it first", EXIT_UNUSABLE)
    return Path(found).resolve()


def write(
    target: Path,
    kernel: Kernel,
    programs: Iterable[Path],
    job: dict[str, str],
    tools: Iterable[Path],
) -> None:
    """Writes the archive. `job` are the files of /job, which `init` reads; `tools` go on the PATH,
    beside what `init` itself needs."""
    contents = Contents({f"/{script}": _HERE / script for script in _SCRIPTS})
    contents.files["/bin/busybox"] = find_program("busybox")
    for path in sorted(kernel.root.rglob("*")):
        if path.is_file():
            contents.files[f"/{path.relative_to(kernel.root)}"] = path
    for name, text in job.items():
        contents.files[f"/job/{name}"] = text.encode()
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        for program in programs:
            contents.put_program(program, f"/programs/{program.name}", Path(scratch))
        for tool in [find_program("tc"), *tools]:
            contents.put_program(tool, f"/tools/{tool.name}", Path(scratch))
        with open(target, "wb") as archive:
            write_cpio(archive, contents.files)


def write_cpio(archive: BinaryIO, files: dict[str, Path | bytes]) -> None:
    """The format that the kernel unpacks ("newc"); directories come before what is in them."""
    directories = {str(parent) for path in files for parent in Path(path).parents}
    number = 0
    for directory in sorted(directories - {"/"}):
        number += 1
        _entry(archive, directory, b"", stat.S_IFDIR | 0o755, number)
    for path, content in files.items():
        number += 1
        if isinstance(content, bytes):
            data, mode = content, 0o644
        else:
            data, mode = content.read_bytes(), stat.S_IMODE(content.stat().st_mode)
        _entry(archive, path, data, stat.S_IFREG | mode, number)
    _entry(archive, _TRAILER, b"", 0, 0)


def _entry(archive: BinaryIO, path: str, data: bytes, mode: int, number: int) -> None:
    name = path.lstrip("/").encode() + b"\0"
    # inode, mode, owner, group, links, time, size, two devices, length of the name, checksum
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
    header = b"070701" + b"".join(b"%08x" % value for value in fields)
    archive.write(header + name + bytes(-(len(header) + len(name)) % 4))
    archive.write(data + bytes(-len(data) % 4))
