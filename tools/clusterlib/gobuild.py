"""Building the parts once, into a cache addressed by what they are made of."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clusterlib import toolchain
from clusterlib.layout import REPOSITORY, cache_root
from clusterlib.parts import PARTS, Part
from clusterlib.progress import Progress
from clusterlib.run import run

_BUILD_SECONDS = 3600
_KEPT_BUILDS = 2
PAUSE_SOURCE = REPOSITORY / "test" / "e2e" / "pause" / "pause.c"


@dataclass(frozen=True)
class Programs:
    """Directories with the built programs."""

    kubernetes: Path
    containerd: Path
    coredns: Path
    crictl: Path
    critest: Path
    pause: Path

    def path(self) -> str:
        """A PATH with all of them in front."""
        own = f"{self.kubernetes}:{self.containerd}:{self.crictl}"
        return f"{own}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def linker_flags(part: Part) -> str:
    """The -ldflags of a part: stripped, with its pinned version inside."""
    version = part.pinned_version()
    major, minor = version.removeprefix("v").split(".")[:2]
    values = {"version": version, "major": major, "minor": minor}
    return " ".join(("-s", "-w", *(flag.format(**values) for flag in part.ldflags)))


def build_key(part: Part, go_version: str) -> str:
    """Names a build by its inputs: sources, pins, flags and compiler."""
    digest = hashlib.sha256()
    for file in sorted(part.directory.iterdir()):
        if file.suffix in (".go", ".mod", ".sum"):
            digest.update(f"{file.name}\0".encode() + file.read_bytes() + b"\0")
    flags = (go_version, part.packages, part.tags, linker_flags(part), *part.links)
    digest.update("\0".join(flags).encode())
    return digest.hexdigest()[:16]


def build_all(progress: Progress) -> Programs:
    """What the cluster is made of."""
    return Programs(**build(PARTS, progress), pause=_build_pause())


def build(parts: Sequence[Part], progress: Progress) -> dict[str, Path]:
    """Builds what the cache lacks; returns where each part is. One run builds, others wait."""
    cache_root().mkdir(parents=True, exist_ok=True)
    with open(cache_root() / "build.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _build_missing(parts, progress)


def _build_missing(parts: Sequence[Part], progress: Progress) -> dict[str, Path]:
    go = toolchain.find_go(progress)
    go_version = run([str(go), "env", "GOVERSION"], env=toolchain.go_environment(go)).stdout.strip()
    directories = {}
    for number, part in enumerate(parts, start=1):
        target = cache_root() / "bin" / f"{part.name}-{build_key(part, go_version)}"
        if not target.is_dir():
            with progress.step(
                f"build {part.name} {part.pinned_version()} ({number}/{len(parts)})"
            ):
                _build(part, target, go)
            _prune(part.name, target)
        directories[part.name] = target
    return directories


def _build(part: Part, target: Path, go: Path) -> None:
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    fresh.mkdir(parents=True)
    try:
        output = fresh / part.output if part.output else fresh
        argv = [str(go), "build", "-mod=readonly", "-trimpath", "-buildvcs=false"]
        argv += ["-tags", part.tags, "-ldflags", linker_flags(part)]
        argv += ["-o", f"{output}" if part.output else f"{output}/", part.packages]
        environment = {**toolchain.go_environment(go), "CGO_ENABLED": "0"}
        run(argv, timeout=_BUILD_SECONDS, env=environment, cwd=str(part.directory))
        for link in part.links:
            (fresh / link).symlink_to(part.output)
        fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _build_pause() -> Path:
    """The program of the sandbox container; C, since each pod keeps one in memory."""
    key = hashlib.sha256(PAUSE_SOURCE.read_bytes()).hexdigest()[:16]
    target = cache_root() / "bin" / f"pause-{key}"
    if not target.is_dir():
        fresh = target.with_name(f"{target.name}.{os.getpid()}")
        fresh.mkdir(parents=True)
        run(["cc", "-Os", "-s", "-static", "-o", str(fresh / "pause"), str(PAUSE_SOURCE)])
        fresh.rename(target)
    return target


def _prune(name: str, newest: Path) -> None:
    """Keeps the newest few builds of a part, so that the cache doesn't grow with every pin."""
    builds = [path for path in newest.parent.glob(f"{name}-*") if path.is_dir()]
    builds.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for old in builds[_KEPT_BUILDS:]:
        shutil.rmtree(old, ignore_errors=True)
