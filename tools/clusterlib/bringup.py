"""`up`: from nothing to a cluster whose nodes are Ready and whose DNS answers."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from clusterlib import control, controlplane, images, network, node, pki, space
from clusterlib.addressing import NodeAddresses, node_addresses
from clusterlib.api import Api
from clusterlib.components import Component, MachineSpec
from clusterlib.errors import ClusterError
from clusterlib.gobuild import Programs
from clusterlib.launch import control_directory, launch
from clusterlib.layout import DATA_ROOT, REPOSITORY, RUN_ROOT, Layout, Machine, cache_root
from clusterlib.progress import Progress
from clusterlib.run import run
from clusterlib.waiting import wait_for

_API_SECONDS = 90
_NODE_SECONDS = 120
_IMPORT_SECONDS = 120
COREDNS_MANIFEST = REPOSITORY / "test" / "e2e" / "manifests" / "coredns.yaml"
_DNS_PATH = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"


@dataclass(frozen=True)
class Wish:
    """What the caller of `up` asks for."""

    nodes: int = 2
    agent: node.Agent | None = None
    images: list[Path] = field(default_factory=list)
    port: int | None = None


@dataclass(frozen=True)
class _Node:
    machine: Machine
    number: int
    addresses: NodeAddresses


class BringUp:
    """One run of `up`. Leaves cleaning up after a failure to its caller.

    `listener` is the bound loopback socket of the API server; the control plane takes it over.
    """

    def __init__(
        self,
        layout: Layout,
        wish: Wish,
        listener: socket.socket,
        programs: Programs,
        progress: Progress,
    ) -> None:
        self._layout = layout
        self._wish = wish
        self._listener = listener
        self._programs = programs
        self._progress = progress
        self._nodes = [
            _Node(layout.machine(f"n{number}"), number, node_addresses(number))
            for number in range(1, wish.nodes + 1)
        ]

    def run(self) -> None:
        listener = self._listener
        port = int(listener.getsockname()[1])
        with self._progress.step("make certificates and configuration"):
            archives = images.make_basic_images(self._programs) + self._wish.images
            self._write_configuration(port, listener.fileno())
        with self._progress.step("start machines and wire them"):
            control_plane = launch(self._layout.control_plane(), [listener.fileno()])
            pids = [launch(entry.machine, []) for entry in self._nodes]
            listener.close()
            self._wire(control_plane, pids)
        api = Api(self._layout, port)
        with ThreadPoolExecutor(max_workers=max(2, len(self._nodes))) as pool:
            imports = [pool.submit(load_images, entry.machine, archives) for entry in self._nodes]
            with self._progress.step("start the control plane"):
                self._start_control_plane(api)
            self._start_nodes(api, imports)
        self._write_record(port)

    def _write_configuration(self, port: int, listen_fd: int) -> None:
        layout, control_plane = self._layout, self._layout.control_plane()
        for machine in (control_plane, *(entry.machine for entry in self._nodes)):
            control_directory(machine)
        kubelets = [
            pki.kubelet_identity(entry.machine.name, entry.machine.host_name, entry.addresses.node)
            for entry in self._nodes
        ]
        pki.make_all(layout.pki, kubelets)
        address = f"https://127.0.0.1:{port}"
        pki.write_kubeconfig(layout.kubeconfig, layout.pki, pki.ADMIN.file, address, layout.name)
        for name in ("controller-manager", "scheduler"):
            file = control_plane.etc / f"{name}.kubeconfig"
            pki.write_kubeconfig(file, layout.pki, name, controlplane.LOCAL_API_URL, layout.name)
        programs = controlplane.components(layout, self._programs, sys.executable, listen_fd)
        _spec(control_plane, self._wish, programs).save(control_plane.spec_file)
        for entry in self._nodes:
            self._write_node(entry)

    def _write_node(self, entry: _Node) -> None:
        layout, machine = self._layout, entry.machine
        for file, identity in (("kubelet", f"kubelet-{machine.name}"), ("proxy", "proxy")):
            target = machine.etc / f"{file}.kubeconfig"
            pki.write_kubeconfig(
                target, layout.pki, identity, controlplane.NODE_API_URL, layout.name
            )
        programs = node.components(
            layout, machine, entry.addresses, self._programs, self._wish.agent
        )
        _spec(machine, self._wish, programs).save(machine.spec_file)

    def _wire(self, control_plane: int, pids: list[int]) -> None:
        network.wire_control_plane(control_plane)
        wired = [
            network.Wired(entry.number, pid, entry.addresses)
            for entry, pid in zip(self._nodes, pids, strict=True)
        ]
        for this in wired:
            network.wire_node(control_plane, this, [other for other in wired if other != this])

    def _start_control_plane(self, api: Api) -> None:
        machine = self._layout.control_plane()
        control.wait_until_up(machine)
        for component in ("etcd", "kube-apiserver"):
            control.order(machine, "start", component=component)
        self._await("the API server", api.not_ready, _API_SECONDS)
        for component in ("kube-controller-manager", "kube-scheduler"):
            control.order(machine, "start", component=component)

    def _start_nodes(self, api: Api, imports: list[Future[None]]) -> None:
        for entry in self._nodes:
            api.create("/api/v1/nodes", _node_object(entry))
        with self._progress.step("load images into the nodes"):
            for pending in imports:
                pending.result()
        agent = ("agent",) if self._wish.agent else ()
        for entry in self._nodes:
            for component in (*agent, "kubelet", "kube-proxy"):
                control.order(entry.machine, "start", component=component)
        with self._progress.step("wait for nodes and DNS to be ready"):
            kubectl(self._layout, self._programs, "apply", "-f", str(COREDNS_MANIFEST))
            for entry in self._nodes:
                self._await_node(api, entry.machine.host_name)
            self._await("DNS", lambda: _missing(api, _DNS_PATH, "Available"), _NODE_SECONDS)

    def _await_node(self, api: Api, name: str) -> None:
        path = f"/api/v1/nodes/{name}"
        self._await(f"node {name}", lambda: _missing(api, path, "Ready"), _NODE_SECONDS)

    def _await(self, what: str, probe: Callable[[], str | None], timeout: float) -> None:
        """Waits, but not on a full disk: nothing gets ready there."""

        def checked() -> str | None:
            space.check_not_full([self._layout.data])
            return probe()

        wait_for(what, checked, timeout=timeout)

    def _write_record(self, port: int) -> None:
        record = {
            "name": self._layout.name,
            "port": port,
            "nodes": [entry.machine.name for entry in self._nodes],
            "agent": str(self._wish.agent.path) if self._wish.agent else "",
            "programs": {key: str(value) for key, value in vars(self._programs).items()},
        }
        self._layout.cluster_file.write_text(json.dumps(record, indent=2) + "\n")


def _spec(machine: Machine, wish: Wish, programs: list[Component]) -> MachineSpec:
    visible = [RUN_ROOT, DATA_ROOT, REPOSITORY, cache_root()]
    if wish.agent:
        visible.append(wish.agent.path.parent)
    return MachineSpec(
        host_name=machine.host_name,
        run=str(machine.run),
        var=str(machine.var),
        logs=str(machine.logs),
        control_socket=str(machine.control_socket),
        visible=[str(path) for path in visible],
        components=programs,
    )


def _node_object(entry: _Node) -> dict[str, object]:
    """The node as it is before its kubelet comes: only so its pod ranges are the wired ones."""
    name = entry.machine.host_name
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": {
            "podCIDR": entry.addresses.pod_cidrs[0],
            "podCIDRs": list(entry.addresses.pod_cidrs),
        },
    }


def _missing(api: Api, path: str, condition: str) -> str | None:
    found = api.conditions(path).get(condition)
    if found is None:
        return f"no condition {condition}"
    if found["status"] == "True":
        return None
    return f"{condition} is {found['status']}: {found.get('message', '')}"


def load_images(machine: Machine, archives: list[Path]) -> None:
    """Imports image archives into the node's containerd, as soon as it answers."""
    record = json.loads(machine.spec_file.read_text())
    ctr = str(Path(record["components"][0]["argv"][0]).with_name("ctr"))
    socket_path = machine.run / Path(node.RUNTIME_SOCKET).relative_to("/run")
    argv = [ctr, "--address", str(socket_path), "--namespace", "k8s.io"]

    def silent() -> str | None:
        done = run([*argv, "version"], check=False)
        return None if done.returncode == 0 else done.stderr.strip()

    wait_for(f"containerd on {machine.host_name}", silent, timeout=60)
    for archive in archives:
        if not archive.is_file():
            raise ClusterError(f"load image {archive}: no such file")
        # --local: the client reads the archive itself, so that any path of the host will do.
        command = [*argv, "images", "import", "--local", "--snapshotter", "native", str(archive)]
        run(command, timeout=_IMPORT_SECONDS)


def kubectl(layout: Layout, programs: Programs, *arguments: str) -> str:
    """Runs the cluster's kubectl as its administrator; returns what it printed."""
    argv = [str(programs.kubernetes / "kubectl"), f"--kubeconfig={layout.kubeconfig}", *arguments]
    return run(argv, timeout=60).stdout
