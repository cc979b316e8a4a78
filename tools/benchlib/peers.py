"""What is compared with: programs of others, pinned and built as those of the cluster are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from clusterlib import gobuild
from clusterlib.errors import ClusterError
from clusterlib.layout import REPOSITORY
from clusterlib.parts import Part
from clusterlib.progress import Progress

_GO = REPOSITORY / "bench" / "go"
_PARTS = (
    Part(name="bitmap", version_of="k8s.io/kubernetes", output="bitmap", root=_GO),
    Part(
        name="controllerruntime",
        version_of="sigs.k8s.io/controller-runtime",
        output="controllerruntime",
        root=_GO,
    ),
    # No peer: it starts them, and takes what they need.
    Part(name="drive", version_of="k8s.io/client-go", output="drive", root=_GO),
    Part(name="endpoints", version_of="k8s.io/endpointslice", output="endpoints", root=_GO),
    Part(name="grpcproxy", version_of="google.golang.org/grpc", output="grpcproxy", root=_GO),
    Part(
        name="multus",
        version_of="gopkg.in/k8snetworkplumbingwg/multus-cni.v4",
        packages="tool",
        root=_GO,
    ),
    Part(
        name="whereabouts",
        version_of="github.com/k8snetworkplumbingwg/whereabouts",
        packages="tool",
        root=_GO,
    ),
)


@dataclass(frozen=True)
class Peers:
    """Where they are; none where one can't be built, which `why` says."""

    grpcproxy: Path | None
    multus: Path | None
    bitmap: Path | None
    whereabouts: Path | None
    controllerruntime: Path | None
    drive: Path | None
    endpoints: Path | None
    why: str = ""


def build(progress: Progress) -> Peers:
    """A peer that can't be had is a row that says so, and no reason to measure nothing."""
    found: dict[str, Path | None] = {part.name: None for part in _PARTS}
    why = ""
    for part in _PARTS:
        try:
            found |= gobuild.build((part,), progress)
        except ClusterError as error:
            why += f"{part.name} can't be built: {str(error).splitlines()[0]}"

    def program(part: str, name: str) -> Path | None:
        directory = found[part]
        return directory / name if directory else None

    return Peers(
        program("grpcproxy", "grpcproxy"),
        found["multus"],
        program("bitmap", "bitmap"),
        program("whereabouts", "cmd"),
        program("controllerruntime", "controllerruntime"),
        program("drive", "drive"),
        program("endpoints", "endpoints"),
        why,
    )
