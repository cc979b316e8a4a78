"""Finding a Go that is new enough, or fetching one the way Go itself does: as a module."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
from pathlib import Path

from clusterlib.errors import EXIT_UNUSABLE, ClusterError
from clusterlib.layout import GO_MODULES, cache_root
from clusterlib.progress import Progress
from clusterlib.run import run

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_DOWNLOAD_SECONDS = 600


def parse_version(text: str) -> tuple[int, ...]:
    """The version in `go version go1.26.8 linux/amd64`, `go1.19` or `1.26.0`, as numbers."""
    found = re.search(r"(?:go)?(\d+(?:\.\d+)+)", text)
    if not found:
        raise ClusterError(f"read Go version {text!r}: want something like go1.26.8")
    return tuple(int(part) for part in found.group(1).split("."))


def wanted_toolchain(modules: Path = GO_MODULES) -> str:
    """The toolchain (`go1.26.8`) that the pins in the modules' go.mod files name."""
    named = [
        line.split()[1]
        for file in sorted(modules.glob("*/go.mod"))
        for line in file.read_text().splitlines()
        if line.startswith("toolchain ")
    ]
    if not named:
        raise ClusterError(f"find Go toolchain: no toolchain line in {modules}/*/go.mod")
    return max(named, key=parse_version)


def go_environment(go: Path) -> dict[str, str]:
    """The environment in which that Go builds: nothing of the caller's Go settings but where
    modules come from."""
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": ""}
    environment.setdefault("HOME", "/root")
    environment["GOROOT"] = str(go.parent.parent.resolve())
    environment["PATH"] = f"{go.parent}:{environment.get('PATH', '/usr/sbin:/usr/bin:/sbin:/bin')}"
    return environment


def find_go(progress: Progress) -> Path:
    """The `go` program to build with; fetches the pinned toolchain when there is none as new."""
    wanted = wanted_toolchain()
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go"):
        if not candidate or not os.access(candidate, os.X_OK):
            continue
        asked = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": ""}
        version = run([candidate, "env", "GOVERSION"], env=asked, cwd="/").stdout
        if parse_version(version) >= parse_version(wanted):
            return Path(run([candidate, "env", "GOROOT"], env=asked).stdout.strip()) / "bin" / "go"
    fetched = cache_root() / "toolchain" / wanted
    if not (fetched / "bin" / "go").exists():
        with progress.step(f"fetch the Go toolchain {wanted}"):
            _fetch(wanted, fetched)
    return fetched / "bin" / "go"


def _fetch(wanted: str, target: Path) -> None:
    old = shutil.which("go")
    if old is None:
        raise ClusterError(
            "fetch Go toolchain: no go program at all; tools/install-deps installs one",
            EXIT_UNUSABLE,
        )
    architecture = _ARCHITECTURES.get(platform.machine())
    if architecture is None:
        raise ClusterError(
            f"fetch Go toolchain: machine is {platform.machine()}, want one of "
            + ", ".join(sorted(_ARCHITECTURES)),
            EXIT_UNUSABLE,
        )
    module = f"golang.org/toolchain@v0.0.1-{wanted}.linux-{architecture}"
    done = run(
        [old, "mod", "download", "-json", module],
        timeout=_DOWNLOAD_SECONDS,
        env={**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"},
        cwd="/",
        check=False,
    )
    try:
        answer = json.loads(done.stdout)
    except json.JSONDecodeError as error:
        raise ClusterError(f"fetch {module}: {done.stderr.strip()}") from error
    if done.returncode != 0 or "Dir" not in answer:
        raise ClusterError(f"fetch {module}: {answer.get('Error', done.stderr.strip())}")
    _install(Path(answer["Dir"]), target)


def _install(source: Path, target: Path) -> None:
    """Copies the toolchain out of the module cache: files there are read-only, and an old Go
    leaves out their execute bits."""
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, fresh, symlinks=True)
    for path in fresh.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)
        elif path.is_file():
            executable = path.parent.name in ("bin", "linux_amd64", "linux_arm64")
            path.chmod(0o755 if executable else 0o644)
    fresh.rename(target)
