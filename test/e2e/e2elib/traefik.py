"""Traefik as it is published, the Gateway API's kinds, and the program that serves and asks in its tests."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import venv
from pathlib import Path

from e2elib.cluster import REPOSITORY
from clusterlib import gobuild, images, toolchain
from clusterlib.image import Image
from clusterlib.layout import GO_MODULES, cache_root
from clusterlib.parts import ECHO
from clusterlib.progress import Progress
from clusterlib.run import run

_PIN = REPOSITORY / "test" / "e2e" / "traefik.txt"
_KINDS = "sigs.k8s.io/gateway-api"
_DOWNLOAD_SECONDS = 300
TRAEFIK_IMAGE = "registry.example.com/traefik:v3.7.15"
"""As docs/examples/traefik.yaml names it."""
ECHO_IMAGE = "multinet.dev/echo:dev"


def traefik_program() -> Path:
    """PyPI's file of the pinned hash, fetched once."""
    wanted = _PIN.read_text()
    place = cache_root() / "traefik" / hashlib.sha256(wanted.encode()).hexdigest()[:12]
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(place.parent / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "traefik").exists():
            with Progress().step("fetch Traefik"):
                _fetch(place)
    return place / "traefik"


def _fetch(place: Path) -> None:
    """Whole or not at all; what an earlier pin fetched goes."""
    for old in place.parent.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
    fresh = place.with_name("part")
    venv.create(fresh, with_pip=True)
    install = [str(fresh / "bin" / "pip"), "install", "--quiet", "--require-hashes", "--no-deps"]
    run([*install, "--only-binary=:all:", "--requirement", str(_PIN)], timeout=_DOWNLOAD_SECONDS)
    program = fresh / "traefik"
    (fresh / "bin" / "traefik").rename(program)
    for entry in fresh.iterdir():
        if entry != program:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    fresh.rename(place)


def echo_program() -> Path:
    return gobuild.build((ECHO,), Progress())["echo"] / "echo"


def archives() -> list[Path]:
    """Images of both, as the cache has them."""
    traefik = Image(TRAEFIK_IMAGE, ["/bin/traefik"], files={"/bin/traefik": traefik_program()})
    echo = Image(ECHO_IMAGE, ["/bin/echo"], ["serve"], files={"/bin/echo": echo_program()})
    return [images.cached(traefik), images.cached(echo)]


def gateway_kinds() -> Path:
    """A kustomization with the CRDs of the experimental channel, out of Go's module cache, which checks
    it against go.sum."""
    go = toolchain.find_go(Progress())
    done = run(
        [str(go), "mod", "download", "-json", _KINDS],
        timeout=_DOWNLOAD_SECONDS,
        env=toolchain.go_environment(go),
        cwd=str(GO_MODULES / "gatewayapi"),
    )
    return Path(json.loads(done.stdout)["Dir"]) / "config" / "crd" / "experimental"
