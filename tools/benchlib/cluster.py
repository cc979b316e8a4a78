"""A small cluster with our whole deployment, and pods that only the benchmark starts."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from clusterlib import control
from clusterlib.cluster import Cluster
from clusterlib.inside import enter
from clusterlib.layout import CONTROL_PLANE, REPOSITORY, Layout, Machine
from clusterlib.progress import Progress
from clusterlib.run import run

NAME = "bench"
_NODE = "n1"
_SERVERS = ("controller", "webhook")
_KINDS = ("podnetworks", "podnetworkattachments", "networkpeers", "ipblocks")
_NETWORKS = ("blue", "lan")
_CONTROL_PLANE = ("kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler")
_TOOLS = REPOSITORY / "tools"
# Of the kubelet's, except that it asks for nothing from a registry.
_POD: dict[str, Any] = {
    "containers": [
        {"name": "idle", "image": "multinet.dev/busybox:dev", "imagePullPolicy": "Never"}
    ],
    "terminationGracePeriodSeconds": 0,
}


class BenchCluster:
    """Up with `with`; gone at its end, whatever happened."""

    def __init__(self, programs: Path, progress: Progress, nodes: int = 1) -> None:
        self._programs = programs
        self._progress = progress
        self._nodes = nodes

    def __enter__(self) -> BenchCluster:
        run([str(_TOOLS / "cluster"), "down", "--name", NAME], timeout=120)
        try:
            self._bring_up()
        except BaseException:
            self._down()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._down()

    def _down(self) -> None:
        run([str(_TOOLS / "cluster"), "down", "--name", NAME], timeout=120)

    def _bring_up(self) -> None:
        agent = self._programs / "multinet-nodeagent"
        with tempfile.TemporaryDirectory(prefix="multinet-bench-") as directory:
            images = [self._image(server, Path(directory)) for server in _SERVERS]
            command = [str(_TOOLS / "cluster"), "up", "--name", NAME, "--nodes", str(self._nodes)]
            command += ["--agent", str(agent), "--image", *images]
            with self._progress.step(f"start a cluster, nodes: {self._nodes}"):
                run(command, timeout=1800)
        self._record = Cluster(Layout(NAME))
        with self._progress.step("deploy, and wait for the networks blue and lan"):
            self._deploy()

    def _image(self, server: str, directory: Path) -> str:
        archive = directory / f"{server}.tar"
        program = self._programs / f"multinet-{server}"
        name = f"--name=multinet.dev/{server}:dev"
        run([str(_TOOLS / "image"), name, f"--output={archive}", str(program)], timeout=120)
        return str(archive)

    def _deploy(self) -> None:
        self.kubectl("apply", "--server-side", "-k", str(REPOSITORY / "crds"))
        kinds = [f"crd/{kind}.multinet.dev" for kind in _KINDS]
        self.kubectl("wait", "--for=condition=Established", "--timeout=30s", *kinds)
        self.kubectl("apply", "--server-side", "-k", str(REPOSITORY / "deploy"))
        for server in _SERVERS:
            deployment = f"deployment/multinet-{server}"
            where = ("--namespace=multinet-system", "--timeout=90s")
            self.kubectl("rollout", "status", deployment, *where, timeout=100)
        for network in _NETWORKS:
            self.kubectl("apply", "-f", str(REPOSITORY / "crds" / "examples" / f"{network}.yaml"))
        ready = ("--for=condition=Ready", "--timeout=60s")
        self.kubectl("wait", *ready, "podnetwork", *_NETWORKS, timeout=70)

    def kubectl(self, *args: str, stdin: str | None = None, timeout: float = 60) -> str:
        program = str(self._record.programs.kubernetes / "kubectl")
        who = f"--kubeconfig={self._record.layout.kubeconfig}"
        return run([program, who, *args], stdin=stdin, timeout=timeout).stdout

    @property
    def kubeconfig(self) -> Path:
        return self._record.layout.kubeconfig

    def apply(self, objects: Sequence[dict[str, Any]]) -> None:
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(listed))

    # The node

    @property
    def node(self) -> tuple[Machine, int]:
        """The machine and its process 1."""
        return self._record.machine(_NODE)

    @property
    def plugins(self) -> Path:
        """The directory of the reference CNI plugins."""
        return self._record.programs.containerd

    def inside(self, command: Sequence[str]) -> list[str]:
        """The command that runs another one in the node."""
        return enter(self.node[1], command)

    def outside(self, command: Sequence[str]) -> list[str]:
        """The command that runs another one on a machine that is no node, beside it."""
        return enter(self._record.machine(CONTROL_PLANE)[1], command)

    def stop(self, component: str) -> None:
        control.stop(self.node[0], component)

    @contextmanager
    def control_plane_held(self) -> Iterator[None]:
        """It stands still meanwhile: what it would do takes no processor from the node, which is
        on the same machine."""
        machine, _ = self._record.machine(CONTROL_PLANE)

        def tell(signal: str) -> None:
            for component in _CONTROL_PLANE:
                control.order(machine, "kill", component=component, signal=signal)

        tell("SIGSTOP")
        try:
            yield
        finally:
            tell("SIGCONT")

    def start_agent_before(self, listen: str, runtime: str) -> subprocess.Popen[bytes]:
        """Another agent in the stead of the node's own, on its state; it ends with the cluster."""
        self.stop("agent")
        machine, _ = self.node
        spec = json.loads(machine.spec_file.read_text())
        (argv,) = [one["argv"] for one in spec["components"] if one["name"] == "agent"]
        changed = {"--listen": listen, "--runtime-endpoint": runtime}
        for number, argument in enumerate(argv):
            option = argument.partition("=")[0]
            if option in changed:
                argv[number] = f"{option}={changed[option]}"
        log = (machine.logs / "bench-agent.log").open("wb")
        return subprocess.Popen(self.inside(argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def agent_log(self) -> list[str]:
        """What the agent of start_agent_before() said."""
        machine, _ = self.node
        return (machine.logs / "bench-agent.log").read_text(errors="replace").splitlines()

    def make_networks(self, networks: Sequence[dict[str, Any]]) -> None:
        """Makes them and waits until they work."""
        for network in networks:
            self.kubectl("apply", "-f", "-", stdin=json.dumps(network))
        names = [str(network["metadata"]["name"]) for network in networks]
        self.kubectl(
            "wait", "--for=condition=Ready", "--timeout=60s", "podnetwork", *names, timeout=70
        )

    @property
    def authority(self) -> Path:
        """Whom the API server's certificate is by."""
        return self._record.layout.pki / "ca.crt"

    def make_pods(
        self, networks: Mapping[str, str], annotation: str = "multinet.dev/networks"
    ) -> dict[str, dict[str, Any]]:
        """Pods by name, with the networks that they ask for, bound to the node.

        The kubelet must have been stopped: the benchmark plays it.
        """
        pods = [self._pod(name, asked, annotation) for name, asked in networks.items()]
        listed = {"apiVersion": "v1", "kind": "List", "items": pods}
        made = self.kubectl(
            "create", "-o", "json", "-f", "-", stdin=json.dumps(listed), timeout=120
        )
        return {pod["metadata"]["name"]: pod for pod in _documents(made)}

    def _pod(self, name: str, networks: str, annotation: str) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "labels": {"app": "bench"},
                "annotations": {annotation: networks} if networks else {},
            },
            "spec": {**_POD, "nodeName": self.node[0].host_name},
        }


def _documents(text: str) -> list[dict[str, Any]]:
    """What kubectl prints of several objects: one after the other."""
    decoder = json.JSONDecoder()
    found = []
    text = text.strip()
    while text:
        one, end = decoder.raw_decode(text)
        found.append(one)
        text = text[end:].lstrip()
    return found
