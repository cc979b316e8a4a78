"""Container images without a registry or a daemon: an OCI layout in one tar, of one layer.

The same inputs give the same bytes: times are 0, owners are root, names are sorted.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import stat
import tarfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from clusterlib.errors import ClusterError
from clusterlib.run import run

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_OCI = "application/vnd.oci.image"


@dataclass
class Image:
    """What goes into an image. `files` maps a path in the image to one on disk, `texts` to its
    content, `links` to the target of a symbolic link."""

    reference: str
    entrypoint: list[str]
    arguments: list[str] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    user: str = ""


def shared_libraries(program: Path) -> list[Path]:
    """The shared libraries and the loader that a program needs; none for a static one."""
    done = run(["ldd", str(program)], check=False)
    if "not a dynamic executable" in done.stderr or "statically linked" in done.stdout:
        return []
    if done.returncode != 0:
        raise ClusterError(f"list libraries of {program}: {done.stderr.strip()}")
    return [Path(path) for path in parse_ldd(done.stdout)]


def parse_ldd(text: str) -> list[str]:
    """The paths in ldd's output; raises ClusterError when a library is missing."""
    paths = []
    for line in text.splitlines():
        name, arrow, rest = line.strip().partition(" => ")
        if arrow and rest.startswith("not found"):
            raise ClusterError(f"list libraries: {name} isn't installed")
        path = (rest if arrow else name).split(" (")[0].strip()
        if path.startswith("/"):
            paths.append(path)
    return paths


def add_program(image: Image, program: Path, inside: str) -> None:
    """Puts a program and all it links to into the image."""
    image.files[inside] = program
    for library in shared_libraries(program):
        image.files[str(library)] = library.resolve()


def write(image: Image, target: Path) -> None:
    """Writes the image as an OCI layout in a tar, complete or not at all."""
    layer = _layer(image)
    config = {
        "architecture": _ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {
            "Entrypoint": image.entrypoint,
            "Cmd": image.arguments,
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "User": image.user,
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }
    config_bytes = _json(config)
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_OCI}.manifest.v1+json",
        "config": _descriptor(f"{_OCI}.config.v1+json", config_bytes),
        "layers": [_descriptor(f"{_OCI}.layer.v1.tar", layer)],
    }
    manifest_bytes = _json(manifest)
    entry = _descriptor(f"{_OCI}.manifest.v1+json", manifest_bytes)
    entry["annotations"] = {"io.containerd.image.name": image.reference}
    index = {"schemaVersion": 2, "mediaType": f"{_OCI}.index.v1+json", "manifests": [entry]}
    fresh = target.with_name(f"{target.name}.part")
    with tarfile.open(fresh, "w", format=tarfile.GNU_FORMAT) as tar:
        _add_bytes(tar, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}), 0o644)
        _add_bytes(tar, "index.json", _json(index), 0o644)
        for blob in (config_bytes, manifest_bytes, layer):
            name = _digest(blob).removeprefix("sha256:")
            _add_bytes(tar, f"blobs/sha256/{name}", blob, 0o644)
    fresh.rename(target)


def _layer(image: Image) -> bytes:
    directories = {"tmp"}
    names = [*image.files, *image.texts, *image.links]
    for name in names:
        parents = PurePosixPath(_relative(name)).parents
        directories.update(str(parent) for parent in parents if str(parent) != ".")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for directory in sorted(directories):
            info = tarfile.TarInfo(directory)
            info.type = tarfile.DIRTYPE
            info.mode = 0o1777 if directory == "tmp" else 0o755
            tar.addfile(info)
        for name in sorted(names):
            _add_entry(tar, image, name)
    return buffer.getvalue()


def _add_entry(tar: tarfile.TarFile, image: Image, name: str) -> None:
    if name in image.links:
        info = tarfile.TarInfo(_relative(name))
        info.type = tarfile.SYMTYPE
        info.linkname = image.links[name]
        tar.addfile(info)
    elif name in image.texts:
        _add_bytes(tar, _relative(name), image.texts[name].encode(), 0o644)
    else:
        path = image.files[name]
        executable = path.stat().st_mode & stat.S_IXUSR
        _add_bytes(tar, _relative(name), path.read_bytes(), 0o755 if executable else 0o644)


def _relative(name: str) -> str:
    return name.lstrip("/")


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    info.mode = mode
    tar.addfile(info, io.BytesIO(content))


def _descriptor(media_type: str, content: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
