"""An API server and its store alone, without nodes: what controllers and webhooks are measured on."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from clusterlib.errors import ClusterError
from clusterlib.layout import REPOSITORY
from clusterlib.run import run

_UP_SECONDS = 60
_TOKEN = "bench"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class BenchApiServer:
    """Up with `with`, with our kinds in it; gone at its end, whatever happened."""

    def __init__(self, kubernetes: Path) -> None:
        """`kubernetes`: the directory of its programs."""
        self._programs = kubernetes
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> BenchApiServer:
        self.directory = Path(tempfile.mkdtemp(prefix="multinet-bench-"))
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    @property
    def authority(self) -> Path:
        """Whom the certificate of `certificates` is by."""
        return self.certificates / "tls.crt"

    @property
    def certificates(self) -> Path:
        """A directory with tls.crt and tls.key for localhost and 127.0.0.1."""
        return self.directory / "tls"

    def kubectl(self, *args: str, timeout: float = 60) -> str:
        program = str(self._programs / "kubectl")
        return run([program, f"--kubeconfig={self.kubeconfig}", *args], timeout=timeout).stdout

    def _start(self) -> None:
        client, peer, port = free_port(), free_port(), free_port()
        etcd = f"http://127.0.0.1:{client}"
        others = f"http://127.0.0.1:{peer}"
        self._run(
            "etcd",
            [
                f"--data-dir={self.directory}/etcd",
                f"--listen-client-urls={etcd}",
                f"--advertise-client-urls={etcd}",
                f"--listen-peer-urls={others}",
                f"--initial-advertise-peer-urls={others}",
                f"--initial-cluster=default={others}",
                # What the disk takes is no contender's.
                "--unsafe-no-fsync",
                "--log-level=error",
            ],
        )
        self._server(etcd, port)
        self.kubeconfig.write_text(
            "apiVersion: v1\nkind: Config\ncurrent-context: bench\n"
            f"clusters: [{{name: bench, cluster: {{server: 'https://127.0.0.1:{port}', "
            f"certificate-authority: '{self.directory}/apiserver/apiserver.crt'}}}}]\n"
            f"users: [{{name: bench, user: {{token: {_TOKEN}}}}}]\n"
            "contexts: [{name: bench, context: {cluster: bench, user: bench}}]\n"
        )
        self._await()
        self.kubectl("apply", "--server-side", "-k", str(REPOSITORY / "crds"))
        self.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
        self.kubectl("create", "namespace", "multinet-system")
        self._copy_certificate()

    def _server(self, etcd: str, port: int) -> None:
        keys = self.directory / "sa.key"
        run(["openssl", "genpkey", "-algorithm", "RSA", "-out", str(keys)])
        tokens = self.directory / "tokens.csv"
        tokens.write_text(f'{_TOKEN},bench,bench,"system:masters"\n')
        self._run(
            "kube-apiserver",
            [
                f"--etcd-servers={etcd}",
                f"--secure-port={port}",
                "--bind-address=127.0.0.1",
                f"--cert-dir={self.directory}/apiserver",
                f"--token-auth-file={tokens}",
                "--authorization-mode=RBAC",
                "--service-cluster-ip-range=10.92.0.0/16",
                "--service-account-issuer=https://bench",
                f"--service-account-key-file={keys}",
                f"--service-account-signing-key-file={keys}",
                # Nobody makes accounts for pods here.
                "--disable-admission-plugins=ServiceAccount",
                "--profiling=false",
            ],
        )

    def _run(self, program: str, options: Sequence[str]) -> None:
        # Gone with us, also where we are killed.
        command = ["setpriv", "--pdeathsig", "KILL", str(self._programs / program), *options]
        with (self.directory / f"{program}.log").open("wb") as log:
            self._running.append(
                subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            )

    def _await(self) -> None:
        until = time.monotonic() + _UP_SECONDS
        while True:
            try:
                self.kubectl("get", "--raw=/readyz")
                self.kubectl("get", "namespace", "default")
                return
            except ClusterError:
                ended = any(one.poll() is not None for one in self._running)
                if ended or time.monotonic() > until:
                    said = (self.directory / "kube-apiserver.log").read_text(errors="replace")
                    raise ClusterError(f"start an API server: {said[-2000:]}") from None
                time.sleep(0.2)

    def _copy_certificate(self) -> None:
        self.certificates.mkdir()
        for end in ("crt", "key"):
            source = self.directory / "apiserver" / f"apiserver.{end}"
            shutil.copy(source, self.certificates / f"tls.{end}")

    def _end(self) -> None:
        for one in reversed(self._running):
            one.kill()
            one.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
