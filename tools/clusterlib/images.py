"""The images that every test cluster has: pause, busybox and CoreDNS."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

from clusterlib import image
from clusterlib.errors import ClusterError
from clusterlib.gobuild import Programs
from clusterlib.layout import cache_root
from clusterlib.run import run

PAUSE = "multinet.dev/pause:dev"
BUSYBOX = "multinet.dev/busybox:dev"
COREDNS = "multinet.dev/coredns:dev"
AGNHOST = "multinet.dev/agnhost:dev"

_ACCOUNTS = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "/etc/group": "root:x:0:\nnogroup:x:65534:\n",
}


def make_basic_images(programs: Programs) -> list[Path]:
    """Writes what the cache lacks; returns the images' files."""
    pause = image.Image(PAUSE, ["/pause"], files={"/pause": programs.pause / "pause"})
    coredns = image.Image(
        COREDNS, ["/coredns"], files={"/coredns": programs.coredns / "coredns"}, texts=_ACCOUNTS
    )
    return [cached(pause), cached(coredns), cached(_busybox())]


def agnhost(program: Path) -> Path:
    """The image of Kubernetes' own network tests: serves, and asks others."""
    return cached(
        replace(
            _busybox(),
            reference=AGNHOST,
            entrypoint=["/agnhost"],
            arguments=["pause"],
            files={**_busybox().files, "/agnhost": program},
        )
    )


def _busybox() -> image.Image:
    program = shutil.which("busybox")
    if program is None:
        raise ClusterError("make busybox image: busybox isn't installed; run tools/install-deps")
    applets = run([program, "--list"]).stdout.split()
    return image.Image(
        BUSYBOX,
        [],
        ["/bin/sh"],
        files={"/bin/busybox": Path(program).resolve()},
        links={f"/bin/{name}": "busybox" for name in applets if name != "busybox"},
        texts={**_ACCOUNTS, "/etc/nsswitch.conf": "hosts: files dns\n"},
    )


def cached(wanted: image.Image) -> Path:
    """The image's file in the cache, which keeps one of each name. All that is in the file counts, its
    reference too: an image of a registry that was renamed is another."""
    digest = hashlib.sha256(Path(image.__file__).read_bytes())
    digest.update(repr(replace(wanted, files={})).encode())
    for name, path in sorted(wanted.files.items()):
        digest.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    stem = wanted.reference.rpartition("/")[2].replace(":", "-")
    target = cache_root() / "images" / f"{stem}-{digest.hexdigest()[:16]}.tar"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        for old in target.parent.glob(f"{stem}-*.tar"):
            old.unlink(missing_ok=True)
        image.write(wanted, target)
    return target
