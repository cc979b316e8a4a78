"""What `kubectl multinet policy table` says of the pods of a network."""

from __future__ import annotations

import re
from pathlib import Path

from e2elib.cluster import Cluster, run_try
from e2elib.probing import Who


def table(
    cluster: Cluster, programs: Path, network: str, protocol: str, port: int
) -> dict[tuple[Who, Who], bool]:
    """Whether a person is told that packets pass, by source and target; of two families the worse."""
    words = ["policy", "table", "--network", network, "--protocol", protocol, "--port", str(port)]
    command = [str(programs / "kubectl-multinet"), *words, f"--kubeconfig={cluster.kubeconfig}"]
    code, out, err = run_try(command)
    assert code == 0, err
    _, head, *rows = [re.split(r" {2,}", line.strip()) for line in out.splitlines()]
    pods = [_who(name) for name in head[1:]]
    assert len(rows) == len(pods) > 0, out
    return {(_who(row[0]), to): cell == "yes" for row in rows for to, cell in zip(pods, row[1:])}


def _who(name: str) -> Who:
    namespace, _, pod = name.partition("/")
    return namespace, pod
