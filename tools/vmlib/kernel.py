"""A kernel of Debian's to boot: fetched by apt and unpacked into the cache, never installed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clusterlib.errors import EXIT_UNUSABLE, ClusterError
from clusterlib.layout import cache_root
from clusterlib.progress import Progress
from clusterlib.run import run

DEFAULT = "6.1"
"""What Debian 12 boots, and the oldest kernel that Multinet promises to run on."""
PACKAGES = {"6.1": "linux-image-cloud-amd64", "6.12": "linux-image-6.12-cloud-amd64"}
_MODULES = ("kernel/net", "kernel/lib", "kernel/crypto", "kernel/arch", "kernel/drivers/net")
_LEFT_OUT = "kernel/drivers/net/ethernet"
"""Drivers of hardware that isn't in the machine."""
_KEPT = 2
_APT_SECONDS = 300


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel. `root` holds lib/modules as the machine shall see it."""

    release: str
    image: Path
    root: Path


def newest_package(shown: str) -> str:
    """The package with the image itself, which `apt-cache show` of the metapackage names."""
    found = re.search(r"^Depends: (linux-image-[^\s,(]+)", shown, re.MULTILINE)
    return found.group(1) if found else ""


def get(series: str, progress: Progress) -> Kernel:
    """The newest kernel of a series that apt offers; one of the cache when apt can't be asked.

    Raises ClusterError when there is neither.
    """
    if series not in PACKAGES:
        known = ", ".join(PACKAGES)
        raise ClusterError(f"find kernel {series!r}: want one of {known}", EXIT_UNUSABLE)
    with _locked():
        try:
            package = _offered(series, progress)
            directory = _place() / package
            if not directory.is_dir():
                with progress.step(f"fetch {package}"):
                    _fetch(package, directory)
                _prune(directory)
        except ClusterError as error:
            kept = _cached(series)
            if not kept:
                raise ClusterError(
                    f"get Linux {series} for the virtual machine: {error}", EXIT_UNUSABLE
                ) from error
            progress.say(f"apt offers no Linux {series} ({error}); {kept.name} is in the cache")
            directory = kept
    return _unpacked(directory)


def _place() -> Path:
    return cache_root() / "vm"


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """One run fetches, others wait."""
    _place().mkdir(parents=True, exist_ok=True)
    with open(_place() / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _offered(series: str, progress: Progress) -> str:
    """The name of the newest package; a machine without apt's lists gets them first."""
    metapackage = PACKAGES[series]
    show = ["apt-cache", "show", "--no-all-versions", metapackage]
    package = newest_package(run(show, check=False).stdout)
    if not package:
        _update(progress)
        package = newest_package(run(show, check=False).stdout)
    if not package:
        raise ClusterError(
            f"package {metapackage} isn't in apt's lists; it is in Debian 12's main and security "
            "sections, see /etc/apt/sources.list.d"
        )
    return package


def _update(progress: Progress) -> None:
    if os.geteuid() != 0:
        raise ClusterError("apt has no list of Debian's kernels; run `apt-get update` as root")
    with progress.step("update apt's lists"):
        run(["apt-get", "update", "-q"], timeout=_APT_SECONDS)


def _fetch(package: str, directory: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=_place()) as temporary:
        fresh = Path(temporary)
        download = ["apt-get", "download", "-q", package]
        if run(download, cwd=temporary, timeout=_APT_SECONDS, check=False).returncode != 0:
            # Lists that are older than the archive name versions that are gone.
            run(["apt-get", "update", "-q"], timeout=_APT_SECONDS, check=False)
            run(download, cwd=temporary, timeout=_APT_SECONDS)
        archives = list(fresh.glob("*.deb"))
        if len(archives) != 1:
            raise ClusterError(f"apt-get download {package}: left {len(archives)} files, want one")
        run(["dpkg", "-x", str(archives[0]), str(fresh / "all")], timeout=_APT_SECONDS)
        _keep(fresh / "all", fresh / "kept")
        (fresh / "kept").rename(directory)


def _keep(unpacked: Path, kept: Path) -> None:
    """What a virtual machine needs of a package: the image, and modules for networks."""
    images = list((unpacked / "boot").glob("vmlinuz-*"))
    if len(images) != 1:
        raise ClusterError(f"unpack kernel: {len(images)} files are called boot/vmlinuz-*")
    release = images[0].name.removeprefix("vmlinuz-")
    source = unpacked / "lib" / "modules" / release
    target = kept / "root" / "lib" / "modules" / release
    target.mkdir(parents=True)
    images[0].rename(kept / images[0].name)
    shutil.rmtree(source / _LEFT_OUT, ignore_errors=True)
    for part in _MODULES:
        if (source / part).is_dir():
            (target / part).parent.mkdir(parents=True, exist_ok=True)
            (source / part).rename(target / part)
    for table in source.glob("modules.*"):
        table.rename(target / table.name)
    # Debian's package has no modules.dep: it is made where a package is installed.
    run(["busybox", "depmod", "-b", str(kept / "root"), release])
    for unused in (*target.glob("modules.builtin*"), target / "modules.order"):
        unused.unlink(missing_ok=True)


def _unpacked(directory: Path) -> Kernel:
    images = list(directory.glob("vmlinuz-*"))
    if len(images) != 1:
        raise ClusterError(f"{directory} is damaged; remove it, and it is fetched again")
    return Kernel(images[0].name.removeprefix("vmlinuz-"), images[0], directory / "root")


def _cached(series: str) -> Path | None:
    found = [path for path in _place().glob(f"linux-image-{series}.*") if path.is_dir()]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def _prune(newest: Path) -> None:
    """A few of a series are kept: another checkout may use an older one just now."""
    series = re.match(r"linux-image-\d+\.\d+", newest.name)
    if not series:
        return
    found = [path for path in _place().glob(f"{series.group(0)}.*") if path.is_dir()]
    found.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for old in found[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
