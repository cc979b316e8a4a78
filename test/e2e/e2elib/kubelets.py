"""A node's kubelet with another configuration for a while."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from e2elib.cluster import Cluster, condition

_PID = "/run/other-kubelet.pid"


@contextmanager
def other_kubelet(
    cluster: Cluster, node: str, log: Path, changes: dict[str, Any]
) -> Iterator[None]:
    """Pods go on under it, and under the usual one afterwards."""
    command = cluster.component(node, "kubelet")["argv"]
    (place,) = [one.split("=", 1)[1] for one in command if one.startswith("--config=")]
    config = yaml.safe_load(Path(place).read_text()) | changes
    # Seen from outside as from inside, as the usual one is.
    other = Path(place).with_name("other-kubelet.yaml")
    other.write_text(yaml.safe_dump(config))
    command = [one.replace(place, str(other)) for one in command]
    cluster.stop(node, "kubelet")
    shell = f'echo $$ >{_PID}; exec "$@"'
    begun = cluster.node_begin(node, ["sh", "-c", shell, "sh", *command], log)
    try:
        _wait_ready(cluster, node, log)
        yield
    finally:
        cluster.node_exec(node, "sh", "-c", f"kill $(cat {_PID})")
        begun.wait(30)
        cluster.start(node, "kubelet")
        other.unlink()
        _wait_ready(cluster, node, log)


def _wait_ready(cluster: Cluster, node: str, log: Path) -> None:
    before = _heartbeat(cluster, node)

    def ready() -> bool:
        assert condition(cluster.json("node", node), "Ready") == "True", log.read_text()[-2000:]
        return _heartbeat(cluster, node) != before

    cluster.wait(ready, 60, f"the kubelet of {node} to be ready")


def _heartbeat(cluster: Cluster, node: str) -> str:
    lease = json.loads(cluster.kubectl("get", "lease", node, "-n", "kube-node-lease", "-o", "json"))
    return str(lease["spec"]["renewTime"])
