"""What `kubectl multinet policy table` says of the pods of a network."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from e2elib.cluster import Cluster, run_try
from e2elib.probing import Who

_CELLS = {"yes", "no: ingress", "no: egress", "no: both"}


def table(
    cluster: Cluster, programs: Path, network: str, pods: Iterable[Who], protocol: str, port: int
) -> dict[tuple[Who, Who], bool]:
    """Whether a person is told that packets pass, by source and target; of two families the worse.
    `pods` are all that are on the network: each is told to each, and nobody else."""
    words = ["policy", "table", "--network", network, "--protocol", protocol, "--port", str(port)]
    command = [str(programs / "kubectl-multinet"), *words, f"--kubeconfig={cluster.kubeconfig}"]
    code, out, err = run_try(command)
    assert code == 0, err
    _, head, *rows = [re.split(r" {2,}", line.strip()) for line in out.splitlines()]
    targets = [_who(name) for name in head[1:]]
    assert sorted(targets) == sorted(pods), f"not all pods on {network}, or others:\n{out}"
    assert [_who(row[0]) for row in rows] == targets, out
    assert {cell for row in rows for cell in row[1:]} <= _CELLS, out
    return {
        (_who(row[0]), to): cell == "yes"
        for row in rows
        for to, cell in zip(targets, row[1:], strict=True)
    }


def _who(name: str) -> Who:
    namespace, _, pod = name.partition("/")
    return namespace, pod
