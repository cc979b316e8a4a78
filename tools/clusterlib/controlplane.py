"""The programs of the control plane's machine and their options."""

from __future__ import annotations

from pathlib import Path

from clusterlib.addressing import (
    API_PORT,
    CONTROL_PLANE_V4,
    POD_CIDRS,
    SERVICE_CIDRS,
)
from clusterlib.components import RARELY_COLLECTED, Component
from clusterlib.gobuild import Programs
from clusterlib.layout import TOOLS, Layout

_AUDIT_LOG = "var/audit.log"
ETCD_URL = "http://127.0.0.1:2379"
LOCAL_API_URL = f"https://127.0.0.1:{API_PORT}"
NODE_API_URL = f"https://{CONTROL_PLANE_V4}:{API_PORT}"


def components(layout: Layout, programs: Programs, python: str, listen_fd: int) -> list[Component]:
    """All programs of the control plane; `listen_fd` is the loopback socket of the host."""
    machine = layout.control_plane()
    environment = {"PATH": programs.path(), "HOME": "/var", "PYTHONPATH": str(TOOLS)}
    environment |= RARELY_COLLECTED
    # Of what it needs to start, a third of the time is for collecting.
    spacious = environment | {"GOGC": "off", "GOMEMLIMIT": "1GiB"}

    def program(name: str, options: list[str], more: str = "") -> Component:
        argv = [str(programs.kubernetes / name), *options]
        has = spacious if name == "kube-apiserver" else environment
        return Component(name, argv, has, arguments_file=more)

    return [
        Component(
            "forwarder",
            [python, "-B", "-m", "clusterlib.forwarder"],
            environment,
            listen_fd=listen_fd,
            autostart=True,
        ),
        program("etcd", _etcd_options()),
        program(
            "kube-apiserver", _api_server_options(layout.pki), str(machine.api_server_arguments)
        ),
        program("kube-controller-manager", _controller_manager_options(layout.pki, machine.etc)),
        program("kube-scheduler", _scheduler_options(machine.etc)),
    ]


def _etcd_options() -> list[str]:
    return [
        "--name=etcd",
        "--data-dir=/var/lib/etcd",
        f"--listen-client-urls={ETCD_URL}",
        f"--advertise-client-urls={ETCD_URL}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        "--initial-cluster=etcd=http://127.0.0.1:2380",
        # A test cluster outlives no power cut.
        "--unsafe-no-fsync",
        # Never compacted (the API server doesn't either): a checker replays all that was written.
        "--auto-compaction-retention=0",
        "--quota-backend-bytes=4294967296",
        "--log-level=warn",
    ]


def _api_server_options(pki: Path) -> list[str]:
    return [
        f"--etcd-servers={ETCD_URL}",
        "--etcd-compaction-interval=0",
        "--bind-address=::",
        f"--secure-port={API_PORT}",
        f"--advertise-address={CONTROL_PLANE_V4}",
        f"--service-cluster-ip-range={','.join(SERVICE_CIDRS)}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--client-ca-file={pki}/ca.crt",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki}/sa.pub",
        f"--service-account-signing-key-file={pki}/sa.key",
        # No kube-proxy here: webhooks and extension servers are reached by endpoint.
        "--enable-aggregator-routing=true",
        f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={pki}/front-proxy-client.crt",
        f"--proxy-client-key-file={pki}/front-proxy-client.key",
        "--event-ttl=24h",
        f"--audit-policy-file={TOOLS}/clusterlib/audit-policy.yaml",
        f"--audit-log-path=/{_AUDIT_LOG}",
        "--profiling=false",
    ]


def audit_logs(layout: Layout) -> list[Path]:
    """Where the host finds what the API server wrote down, older parts included."""
    log = layout.control_plane().data / _AUDIT_LOG
    return sorted(log.parent.glob(f"{log.stem}*{log.suffix}"))


def _controller_manager_options(pki: Path, etc: Path) -> list[str]:
    kubeconfig = f"{etc}/controller-manager.kubeconfig"
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={pki}/sa.key",
        f"--root-ca-file={pki}/ca.crt",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        f"--cluster-cidr={','.join(POD_CIDRS)}",
        f"--service-cluster-ip-range={','.join(SERVICE_CIDRS)}",
        # The nodes' pod ranges are fixed before the nodes exist; see addressing.py.
        "--allocate-node-cidrs=false",
        "--profiling=false",
    ]


def _scheduler_options(etc: Path) -> list[str]:
    kubeconfig = f"{etc}/scheduler.kubeconfig"
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--profiling=false",
    ]
