"""MetalLB's controller as its project publishes it, which gives Services addresses of its pools. Its speakers, which
make the network's routers send them to nodes, aren't run: the tests' one router has a route instead."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clusterlib import gobuild, toolchain
from clusterlib.layout import GO_MODULES
from clusterlib.parts import METALLB
from clusterlib.progress import Progress
from clusterlib.run import run
from e2elib.cluster import Cluster

SYSTEM = "metallb-system"
POOL_NOTE = "metallb.io/ip-allocated-from-pool"
WISH = "metallb.io/loadBalancerIPs"
_DOWNLOAD_SECONDS = 300


def program() -> Path:
    return gobuild.build((METALLB,), Progress())["metallb"] / "controller"


def _kinds() -> Path:
    """Its CRDs, out of Go's module cache, which checks them against go.sum."""
    go = toolchain.find_go(Progress())
    done = run(
        [str(go), "mod", "download", "-json", METALLB.version_of],
        timeout=_DOWNLOAD_SECONDS,
        env=toolchain.go_environment(go),
        cwd=str(GO_MODULES / METALLB.name),
    )
    return Path(json.loads(done.stdout)["Dir"]) / "config" / "crd" / "bases"


def pool(name: str, *ranges: str) -> str:
    metadata = {"name": name, "namespace": SYSTEM}
    kind = {"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool"}
    return json.dumps(kind | {"metadata": metadata, "spec": {"addresses": list(ranges)}})


@contextmanager
def running(cluster: Cluster, log: Path) -> Iterator[None]:
    """As an admin whom Multinet's policies bind like anybody else."""
    controller = program()
    kinds = str(_kinds())
    cluster.kubectl("apply", "--server-side", "-f", kinds)
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", kinds)
    cluster.kubectl("create", "namespace", SYSTEM)
    environment = os.environ | {"KUBECONFIG": str(cluster.kubeconfig)}
    flags = ["--webhook-mode=disabled", f"--namespace={SYSTEM}", "--port=0"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(controller), *flags], env=environment, stdout=out, stderr=out
        )
    try:
        yield
    finally:
        process.kill()  # asked to end it may wait 30 s for its own parts, and has nothing to hand back
        process.wait(10)
        cluster.delete("namespace", SYSTEM)
        cluster.kubectl("delete", "-f", kinds)
