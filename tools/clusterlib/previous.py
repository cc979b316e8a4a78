"""The programs of the version before this one, built out of the repository's own history, once."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from clusterlib.errors import EXIT_UNUSABLE, ClusterError
from clusterlib.layout import REPOSITORY, cache_root
from clusterlib.progress import Progress
from clusterlib.run import run

PIN = REPOSITORY / "test" / "e2e" / "previous"
PROGRAMS = ("multinet-nodeagent", "multinet-controller", "multinet-webhook", "kubectl-multinet")
_BUILD_SECONDS = 3600


@dataclass(frozen=True)
class Previous:
    """`sources` is the checkout, `bin` has the programs."""

    commit: str
    sources: Path

    @property
    def bin(self) -> Path:
        return self.sources / "build" / "release" / "bin"


def pinned() -> str:
    """The commit that the pin names: its first line that is no comment."""
    lines = [line.strip() for line in PIN.read_text().splitlines()]
    return next(line for line in lines if line and not line.startswith("#"))


def build(progress: Progress) -> Previous:
    """Builds what the cache lacks. Raises ClusterError where the history doesn't reach back so far."""
    commit = pinned()
    found = Previous(commit, cache_root() / "previous" / commit[:12])
    found.sources.parent.mkdir(parents=True, exist_ok=True)
    with open(found.sources.parent / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all((found.bin / name).is_file() for name in PROGRAMS):
            with progress.step(f"build the version before this one ({commit[:12]})"):
                _build(found)
            _prune(found.sources)
    return found


def _build(wanted: Previous) -> None:
    shutil.rmtree(wanted.sources, ignore_errors=True)
    wanted.sources.mkdir()
    _unpack(wanted.commit, wanted.sources)
    # The preset of the tree that ships, so that the compiler's cache has what didn't change since.
    run(["cmake", "--preset", "release"], cwd=str(wanted.sources), timeout=120)
    command = ["cmake", "--build", "build/release", "--target", *PROGRAMS]
    run(
        [*command, "--parallel", str(os.cpu_count() or 2)],
        cwd=str(wanted.sources),
        timeout=_BUILD_SECONDS,
    )


def _unpack(commit: str, target: Path) -> None:
    with tempfile.TemporaryFile() as archive:
        done = subprocess.run(
            ["git", "-C", str(REPOSITORY), "archive", commit],
            stdout=archive,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode != 0:
            raise ClusterError(
                f"find version {commit}: {done.stderr.strip()}; fetch the history whole "
                "(git fetch --unshallow)",
                EXIT_UNUSABLE,
            )
        archive.seek(0)
        with tarfile.open(fileobj=archive) as tar:
            tar.extractall(target, filter="tar")


def _prune(newest: Path) -> None:
    for old in newest.parent.iterdir():
        if old.is_dir() and old != newest:
            shutil.rmtree(old, ignore_errors=True)
