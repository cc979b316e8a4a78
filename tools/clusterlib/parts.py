"""What the cluster is built of: which Go modules, into which programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from clusterlib.layout import GO_MODULES

KUBERNETES_PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
)


@dataclass(frozen=True)
class Part:
    """One Go module under `root` and what comes out of it.

    `packages` is what `go build` gets (`tool` means every tool line in go.mod). `version_of` names
    the module whose version `{version}` in `ldflags` stands for. `links` are further names of the
    part's own program.
    """

    name: str
    version_of: str
    packages: str = "."
    tags: str = ""
    ldflags: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    output: str = field(default="")
    root: Path = GO_MODULES

    @property
    def directory(self) -> Path:
        return self.root / self.name

    def pinned_version(self) -> str:
        """The version of the part's main module, as its go.mod says."""
        for line in (self.directory / "go.mod").read_text().splitlines():
            words = line.replace("require ", "").split()
            if len(words) >= 2 and words[0] == self.version_of and words[1].startswith("v"):
                return words[1]
        raise LookupError(f"{self.directory}/go.mod requires no {self.version_of}")


def _kubernetes_version(package: str) -> tuple[str, ...]:
    values = {
        "gitVersion": "{version}",
        "gitMajor": "{major}",
        "gitMinor": "{minor}",
        "gitCommit": "{version}",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
    }
    return tuple(f"-X {package}.{key}={value}" for key, value in values.items())


PARTS = (
    Part(
        name="kubernetes",
        version_of="k8s.io/kubernetes",
        ldflags=(
            *_kubernetes_version("k8s.io/component-base/version"),
            *_kubernetes_version("k8s.io/client-go/pkg/version"),
        ),
        links=KUBERNETES_PROGRAMS,
        output="kubernetes",
    ),
    Part(
        name="containerd",
        version_of="github.com/containerd/containerd/v2",
        packages="tool",
        tags="no_btrfs no_devmapper no_zfs",
        ldflags=("-X github.com/containerd/containerd/v2/version.Version={version}",),
    ),
    Part(name="coredns", version_of="github.com/coredns/coredns", output="coredns"),
    Part(
        name="crictl",
        version_of="sigs.k8s.io/cri-tools",
        packages="tool",
        ldflags=("-X sigs.k8s.io/cri-tools/pkg/version.Version={version}",),
    ),
    Part(name="critest", version_of="sigs.k8s.io/cri-tools", output="critest"),
)
# No part of the cluster: what installs the chart in deploy/chart.
HELM = Part(
    name="helm",
    version_of="helm.sh/helm/v3",
    packages="tool",
    ldflags=("-X helm.sh/helm/v3/internal/version.version={version}",),
)
# A load balancer controller of somebody else's, for the tests of services.
METALLB = Part(name="metallb", version_of="go.universe.tf/metallb", packages="tool")
# What serves and asks in the tests of other systems.
ECHO = Part(name="echo", version_of="google.golang.org/grpc", output="echo")
# What runs the conformance suite of Kubernetes' ClusterNetworkPolicy on a named network, and what its pods run.
CONFORMANCE = Part(
    name="conformance", version_of="sigs.k8s.io/network-policy-api", output="conformance"
)
AGNHOST = Part(name="agnhost", version_of="k8s.io/kubernetes", output="agnhost")
