"""The cluster's certificates and kubeconfigs, made with openssl. EC keys: RSA takes seconds."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

import yaml

from clusterlib.addressing import API_SERVICE_V4, API_SERVICE_V6, CONTROL_PLANE_V4, CONTROL_PLANE_V6
from clusterlib.run import run

_DAYS = "365"
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc")


@dataclass(frozen=True)
class Identity:
    """Who a certificate is for; `addresses` makes it good for a server as well."""

    file: str
    common_name: str
    organization: str = ""
    addresses: tuple[str, ...] = ()

    def subject(self) -> str:
        organization = f"/O={self.organization}" if self.organization else ""
        return f"{organization}/CN={self.common_name}"


API_SERVER = Identity(
    "apiserver",
    "kube-apiserver",
    addresses=(
        "DNS:localhost",
        "DNS:kubernetes",
        "DNS:kubernetes.default",
        "DNS:kubernetes.default.svc",
        "DNS:kubernetes.default.svc.cluster.local",
        "IP:127.0.0.1",
        "IP:::1",
        f"IP:{CONTROL_PLANE_V4}",
        f"IP:{CONTROL_PLANE_V6}",
        f"IP:{API_SERVICE_V4}",
        f"IP:{API_SERVICE_V6}",
    ),
)
ADMIN = Identity("admin", "kubernetes-admin", "system:masters")
CLIENTS = (
    ADMIN,
    Identity("apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters"),
    Identity("controller-manager", "system:kube-controller-manager"),
    Identity("scheduler", "system:kube-scheduler"),
    Identity("proxy", "system:kube-proxy"),
)


def kubelet_identity(machine: str, host_name: str, addresses: tuple[str, ...]) -> Identity:
    """A node's identity: its kubelet's client and serving certificate in one."""
    names = (f"DNS:{host_name}", *(f"IP:{address}" for address in addresses))
    return Identity(f"kubelet-{machine}", f"system:node:{host_name}", "system:nodes", names)


def make_authority(directory: Path, name: str) -> None:
    """Makes a certificate authority, NAME.crt and NAME.key."""
    subject = ("-subj", f"/CN=multinet-test-{name}", "-days", _DAYS)
    usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature")
    files = ("-keyout", str(directory / f"{name}.key"), "-out", str(directory / f"{name}.crt"))
    run(["openssl", "req", "-x509", *_NEW_KEY, *subject, *usage, *files])


def issue(directory: Path, identity: Identity, authority: str = "ca") -> None:
    """Makes FILE.crt and FILE.key, signed by the authority in the same directory."""
    extensions = [
        "basicConstraints=critical,CA:FALSE",
        "keyUsage=critical,digitalSignature",
        "extendedKeyUsage=clientAuth" + (",serverAuth" if identity.addresses else ""),
    ]
    if identity.addresses:
        extensions.append("subjectAltName=" + ",".join(identity.addresses))
    argv = ["openssl", "req", "-x509", *_NEW_KEY, "-days", _DAYS, "-subj", identity.subject()]
    argv += [
        "-CA",
        str(directory / f"{authority}.crt"),
        "-CAkey",
        str(directory / f"{authority}.key"),
    ]
    for extension in extensions:
        argv += ["-addext", extension]
    argv += ["-keyout", str(directory / f"{identity.file}.key")]
    argv += ["-out", str(directory / f"{identity.file}.crt")]
    run(argv)


def make_signing_key(directory: Path) -> None:
    """The key pair that signs the tokens of service accounts."""
    private, public = directory / "sa.key", directory / "sa.pub"
    curve = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    run(["openssl", "genpkey", *curve, "-out", str(private)])
    run(["openssl", "pkey", "-in", str(private), "-pubout", "-out", str(public)])


def make_all(directory: Path, kubelets: list[Identity]) -> None:
    """Every key and certificate of a cluster."""
    directory.mkdir(parents=True, mode=0o700, exist_ok=True)
    make_authority(directory, "ca")
    make_authority(directory, "front-proxy-ca")
    make_signing_key(directory)
    for identity in (API_SERVER, *CLIENTS, *kubelets):
        issue(directory, identity)
    issue(directory, Identity("front-proxy-client", "front-proxy-client"), "front-proxy-ca")


def write_kubeconfig(file: Path, pki: Path, identity: str, server: str, cluster: str) -> None:
    """A kubeconfig with the certificates inside, so that it works wherever it is copied to."""

    def inline(name: str) -> str:
        return base64.b64encode((pki / name).read_bytes()).decode()

    user = {
        "client-certificate-data": inline(f"{identity}.crt"),
        "client-key-data": inline(f"{identity}.key"),
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": cluster,
                "cluster": {"server": server, "certificate-authority-data": inline("ca.crt")},
            }
        ],
        "users": [{"name": identity, "user": user}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": identity}}],
        "current-context": cluster,
    }
    file.write_text(yaml.safe_dump(config))
    file.chmod(0o600)
