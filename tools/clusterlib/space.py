"""Room on disks: asked for beforehand, and told in a sentence when it ran out on the way."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from clusterlib.errors import EXIT_UNUSABLE, MAKE_ROOM, ClusterError

_FULL_MB = 100.0
"""etcd alone asks for 64 MB in one piece."""
_NO_SPACE = os.strerror(errno.ENOSPC).lower()


def _existing(path: Path) -> Path:
    """The path, or the nearest directory above it that exists: on the same disk once it is made."""
    while not path.exists():
        path = path.parent
    return path


def _free_mb(path: Path) -> float:
    """What root can still write there."""
    disk = os.statvfs(_existing(path))
    return disk.f_bfree * disk.f_frsize / 1e6


def check(wanted_gb: Mapping[Path, float]) -> None:
    """Raises ClusterError when a disk has less free than all its directories together want."""
    disks: dict[int, list[Path]] = {}
    for path in wanted_gb:
        disks.setdefault(_existing(path).stat().st_dev, []).append(path)
    for paths in disks.values():
        wanted = sum(wanted_gb[path] for path in paths)
        free = _free_mb(paths[0]) / 1e3
        if free < wanted:
            raise ClusterError(
                f"start a cluster: the disk of {', '.join(map(str, paths))} has {free:.1f} GB free, "
                f"want {wanted:.1f} GB; {MAKE_ROOM}, or set MULTINET_CACHE to a directory on another disk",
                EXIT_UNUSABLE,
            )


def check_not_full(directories: Iterable[Path]) -> None:
    """Raises ClusterError when one of those can't be written to any more."""
    for directory in directories:
        if (free := _free_mb(directory)) < _FULL_MB:
            raise ClusterError(
                f"write to {directory}: the disk is full ({free:.0f} MB left, want {_FULL_MB:.0f}); "
                f"{MAKE_ROOM}",
                EXIT_UNUSABLE,
            )


def explained(error: BaseException, directories: Iterable[Path]) -> BaseException:
    """The error, or in its stead the sentence that a disk is full where that is the reason.

    Call it before anything is cleaned away: that makes room again.
    """
    if not isinstance(error, (ClusterError, OSError)):
        return error
    try:
        check_not_full(directories)
    except ClusterError as full:
        return full
    line = without_space(str(error)) if isinstance(error, ClusterError) else None
    return ClusterError(f"{line}; {MAKE_ROOM}", EXIT_UNUSABLE) if line else error


def without_space(output: str) -> str | None:
    """The line in which a program says that it found a disk full; its own files may be gone since."""
    lines = [line.strip() for line in output.splitlines() if _NO_SPACE in line.lower()]
    return lines[0] if lines else None
