"""A node whose process 1 is systemd, with containerd and a kubelet as kubeadm would leave them, beside the nodes of
a cluster of tools/cluster. Its file system, namespaces and cgroups are its own; the kernel is this machine's."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from e2elib.cluster import REPOSITORY, Cluster, CommandFailed, run_try  # it finds clusterlib
from e2elib.waiting import wait_until
from clusterlib import disposal, images, network, node as parts, pki  # noqa: E402
from clusterlib.addressing import DNS_SERVICE_V4, node_addresses  # noqa: E402
from clusterlib.controlplane import NODE_API_URL  # noqa: E402
from clusterlib.errors import ClusterError  # noqa: E402
from clusterlib.inside import enter  # noqa: E402
from clusterlib.layout import DATA_ROOT, Machine  # noqa: E402
from clusterlib.progress import Progress  # noqa: E402
from clusterlib.root import Root  # noqa: E402
from clusterlib.run import run  # noqa: E402
from clusterlib.toolchain import find_go, go_environment  # noqa: E402
from vmlib.machine import die_with_parent  # noqa: E402

CONFIG = "/var/lib/kubelet/config.yaml"
INSTANCE_CONFIG = "/var/lib/kubelet/instance-config.yaml"
KUBECONFIG = "/etc/kubernetes/kubelet.conf"
ARTIFACTS = REPOSITORY / "build" / "e2e-artifacts"
_PKI = "/etc/kubernetes/pki"
_LAUNCHER = Path(__file__).with_name("systemd-machine")
_UP_SECONDS = 30
_CONTAINERD_MODULE = "github.com/containerd/containerd/v2"
_KUBELET_UNIT = f"""[Unit]
Description=kubelet: The Kubernetes Node Agent
Wants=network-online.target
After=network-online.target
[Service]
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
ExecStart=/usr/bin/kubelet --kubeconfig={KUBECONFIG} --config={CONFIG} $KUBELET_KUBEADM_ARGS
Restart=always
RestartSec=1
"""


class SystemdNode:
    """The node, from its file system on; it runs from start() to stop()."""

    def __init__(self, cluster: Cluster, number: int, root: Path) -> None:
        self.name = f"{cluster.name}-n{number}"
        self.root = root
        self.programs = cluster.record.programs
        self._cluster = cluster
        self._number = number
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def start(self) -> None:
        """Boots, and plugs its link into the underlay. Returns when systemd takes orders."""
        assert self._process is None
        command = [str(_LAUNCHER), str(self.root), self.name, str(uuid.uuid4())]
        with open(self.root.parent / "console", "ab") as console:
            self._process = subprocess.Popen(
                command, stdout=console, stderr=console, preexec_fn=die_with_parent()
            )
        self._pid = wait_until(self._first, _UP_SECONDS, f"process 1 of {self.name}")
        self._wire()
        wait_until(
            lambda: self.run_try("systemctl is-system-running")[1].strip()
            in ("running", "degraded"),
            _UP_SECONDS,
            f"systemd of {self.name}",
        )

    def stop(self) -> None:
        """As a cut of its power does. No process, mount or link of it stays."""
        if self._process is None:
            return
        self._process.kill()
        self._gone()

    def reboot(self) -> None:
        """In order, as `systemctl reboot` does; with another boot ID."""
        self.run_try("systemctl reboot")
        self._gone()
        self.start()

    def run_try(self, command: str) -> tuple[int, str, str]:
        """Exit code, output and errors of a shell command."""
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "HOME": "/root"}
        return run_try(enter(self._pid, ["/bin/sh", "-c", command]), None, environment)

    def run(self, command: str) -> str:
        code, out, err = self.run_try(command)
        if code != 0:
            raise CommandFailed(f"{command} on {self.name}: exit code {code}: {err.strip() or out}")
        return out

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """Properties of a unit, as systemd tells them."""
        lines = self.run(f"systemctl show {unit} --property={','.join(properties)}").splitlines()
        return dict(line.split("=", 1) for line in lines)

    def journal(self, unit: str) -> str:
        return self.run(f"journalctl --no-pager -o cat -u {unit}")

    def save(self, target: Path) -> None:
        """Keeps what explains a failure."""
        target.mkdir(parents=True, exist_ok=True)
        (target / "journal").write_text(self.run_try("journalctl --no-pager")[1])
        shutil.copy(self.root.parent / "console", target)

    def _first(self) -> int:
        """The host's number of the machine's process 1, once it is systemd."""
        assert self._process is not None
        if (code := self._process.poll()) is not None:
            said = (self.root.parent / "console").read_text()[-1000:]
            raise CommandFailed(f"start machine {self.name}: exit code {code}: {said}")
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        for pid in children.split():
            if Path(f"/proc/{pid}/comm").read_text().strip() == "systemd":
                return int(pid)
        return 0

    def _wire(self) -> None:
        _, control_plane = self._cluster.record.machine("cp")
        wired = network.Wired(self._number, self._pid, node_addresses(self._number))
        others = []
        for name in self._cluster.record.nodes:
            other = int(name.removeprefix("n"))
            others.append(network.Wired(other, 0, node_addresses(other)))
            _, pid = self._cluster.record.machine(name)
            ways = "".join(f"{line}\n" for line in network.route_commands([wired]))
            run(enter(pid, ["ip", "-force", "-batch", "-"]), stdin=ways, check=False)
        network.wire_node(control_plane, wired, others)

    def _gone(self) -> None:
        assert self._process is not None
        self._process.wait(_UP_SECONDS)
        self._process = None
        for directory in (self.name, f"multinet-{self.name}"):
            disposal.remove_cgroups(directory)


@contextmanager
def running(cluster: Cluster, number: int, trees: dict[str, Path]) -> Iterator[SystemdNode]:
    """A node of this number, of which the cluster has none yet. `trees` are directories to take along,
    by their place in the machine."""
    DATA_ROOT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{cluster.name}-systemd-", dir=DATA_ROOT) as scratch:
        root = Root(Path(scratch) / "root")
        root.systemd()
        for place, tree in trees.items():
            root.tree(place, tree)
            # What `apt-get install` would bring: a file of tests compares the list with these.
            for program in (tree / "usr" / "bin").glob("multinet-*"):
                root.libraries(program)
        node = SystemdNode(cluster, number, Path(scratch) / "root")
        _runtime(root, cluster, number)
        _kubelet(root, cluster, number)
        try:
            node.start()
            _load_images(node)
            yield node
        finally:
            node.save(ARTIFACTS / node.name)
            node.stop()
            cluster.delete("node", node.name)


def _runtime(root: Root, cluster: Cluster, number: int) -> None:
    programs = cluster.record.programs
    for program in ("containerd", "containerd-shim-runc-v2", "ctr"):
        root.program(programs.containerd / program, f"/usr/local/bin/{program}")
    for plugin in ("bridge", "host-local", "loopback", "portmap"):
        root.program(programs.containerd / plugin, f"/opt/cni/bin/{plugin}")
    root.program(programs.crictl / "crictl", "/usr/local/bin/crictl")
    runc = shutil.which("runc")
    assert runc, "runc isn't installed; run tools/install-deps"
    root.program(Path(runc), "/usr/sbin/runc")
    config = parts.containerd_config(Path("/opt/cni/bin"), Path("/etc/cni/net.d"), "/usr/sbin/runc")
    root.text("/etc/containerd/config.toml", config)
    conflist = json.dumps(parts.cni_config(node_addresses(number)))
    root.text("/etc/cni/net.d/10-default.conflist", conflist)
    root.unit("containerd.service", _containerd_unit())


def _containerd_unit() -> str:
    """containerd's own, out of the module that it is built of."""
    go = find_go(Progress())
    listed = run(
        [str(go), "list", "-m", "-f", "{{.Dir}}", _CONTAINERD_MODULE],
        env=go_environment(go),
        cwd=str(REPOSITORY / "test" / "e2e" / "go" / "containerd"),
    )
    unit = Path(listed.stdout.strip()) / "containerd.service"
    if not unit.is_file():
        raise ClusterError(f"find containerd's unit: no {unit}")
    return unit.read_text()


def _kubelet(root: Root, cluster: Cluster, number: int) -> None:
    """What `kubeadm join` of 1.37 leaves: the shared config.yaml with instance-config.yaml written into it,
    the flags of this node, credentials."""
    layout = cluster.record.layout
    name, addresses = f"{cluster.name}-n{number}", node_addresses(number)
    identity = pki.kubelet_identity(f"n{number}", name, addresses.node)
    pki.issue(layout.pki, identity)
    root.program(cluster.record.programs.kubernetes / "kubelet", "/usr/bin/kubelet")
    root.file(f"{_PKI}/ca.crt", layout.pki / "ca.crt")
    for kind in ("crt", "key"):
        root.file(f"/var/lib/kubelet/pki/kubelet.{kind}", layout.pki / f"{identity.file}.{kind}")
    kubeconfig = root.place(KUBECONFIG)
    pki.write_kubeconfig(kubeconfig, layout.pki, identity.file, NODE_API_URL, cluster.name)
    instance = {"containerRuntimeEndpoint": f"unix://{parts.RUNTIME_SOCKET}"}
    config = parts.kubelet_config(layout, Machine(cluster.name, f"n{number}"), None) | {
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{_PKI}/ca.crt"},
        },
        "resolvConf": "/etc/resolv.conf",
        "staticPodPath": "/etc/kubernetes/manifests",
        "tlsCertFile": "/var/lib/kubelet/pki/kubelet.crt",
        "tlsPrivateKeyFile": "/var/lib/kubelet/pki/kubelet.key",
    }
    del config["imageServiceEndpoint"]  # kubeadm writes none
    root.text(INSTANCE_CONFIG, yaml.safe_dump(instance))
    root.text(CONFIG, yaml.safe_dump(config | instance))
    flags = f"--hostname-override={name} --node-ip={','.join(addresses.node)}"
    root.text("/var/lib/kubelet/kubeadm-flags.env", f'KUBELET_KUBEADM_ARGS="{flags}"\n')
    root.text("/etc/resolv.conf", f"nameserver {DNS_SERVICE_V4}\n")
    root.text("/etc/hosts", f"127.0.0.1 localhost\n{addresses.node[0]} {name}\n")
    root.place("/etc/kubernetes/manifests").mkdir()
    root.unit("kubelet.service", _KUBELET_UNIT)


def _load_images(node: SystemdNode) -> None:
    for archive in images.make_basic_images(node.programs):
        target = node.root / "root" / archive.name
        shutil.copy(archive, target)
        wait_until(lambda: node.run_try("ctr version")[0] == 0, _UP_SECONDS, "containerd")
        node.run(f"ctr -n k8s.io images import --local --snapshotter native /root/{archive.name}")
        target.unlink()
