"""Where a cluster keeps its files. Everything follows from its name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

RUN_ROOT = Path("/run/multinet-cluster")
DATA_ROOT = Path("/var/lib/multinet-cluster")
TOOLS = Path(__file__).resolve().parent.parent
REPOSITORY = TOOLS.parent
GO_MODULES = REPOSITORY / "test" / "e2e" / "go"
CONTROL_PLANE = "cp"


def cache_root() -> Path:
    """The directory outside the tree that keeps what is built once."""
    chosen = os.environ.get("MULTINET_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("HOME") or "/root") / ".cache" / "multinet"


@dataclass(frozen=True)
class Machine:
    """One machine of a cluster (`cp`, `n1`, `n2` ...) and its directories.

    `run` and `var` are what the machine itself sees as /run and /var.
    """

    cluster: str
    name: str

    @property
    def host_name(self) -> str:
        return f"{self.cluster}-{self.name}"

    @property
    def state(self) -> Path:
        return RUN_ROOT / self.cluster / self.name

    @property
    def run(self) -> Path:
        return self.state / "run"

    @property
    def control_socket(self) -> Path:
        return self.state / "control.sock"

    @property
    def spec_file(self) -> Path:
        return self.state / "machine.json"

    @property
    def init_file(self) -> Path:
        return self.state / "init.json"

    @property
    def netns(self) -> Path:
        """A link to the machine's network namespace, good for `nsenter --net=`."""
        return self.state / "netns"

    @property
    def agent_environment(self) -> Path:
        return self.state / "agent.env"

    @property
    def api_server_arguments(self) -> Path:
        return self.state / "kube-apiserver.args"

    @property
    def data(self) -> Path:
        return DATA_ROOT / self.cluster / self.name

    @property
    def var(self) -> Path:
        return self.data / "var"

    @property
    def logs(self) -> Path:
        return self.data / "log"

    @property
    def etc(self) -> Path:
        """Configuration that this tool writes for the machine's programs."""
        return self.data / "etc"


@dataclass(frozen=True)
class Layout:
    """The directories of one cluster."""

    name: str

    @property
    def state(self) -> Path:
        return RUN_ROOT / self.name

    @property
    def data(self) -> Path:
        return DATA_ROOT / self.name

    @property
    def lock_file(self) -> Path:
        return RUN_ROOT / f"{self.name}.lock"

    @property
    def cluster_file(self) -> Path:
        """Written last by `up`: what the cluster is. Without it, a run was cut short."""
        return self.state / "cluster.json"

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    @property
    def pki(self) -> Path:
        return self.data / "pki"

    def machine(self, name: str) -> Machine:
        return Machine(self.name, name.removeprefix(f"{self.name}-"))

    def control_plane(self) -> Machine:
        return self.machine(CONTROL_PLANE)

    def machines(self) -> list[Machine]:
        """The machines that have a directory, the control plane first."""
        if not self.state.is_dir():
            return []
        found = [Machine(self.name, entry.name) for entry in self.state.iterdir() if entry.is_dir()]
        return sorted(found, key=lambda m: (m.name != CONTROL_PLANE, len(m.name), m.name))
