"""P9: addresses on ten nodes at once through a real API server, beside Whereabouts."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchlib.cluster import BenchCluster
from benchlib.foreign import definition
from benchlib.program import samples_of
from benchlib.rows import Comparison, Row
from benchlib.stats import exactly
from clusterlib.errors import ClusterError

GROUP = "P9"
NODES = 10
CLAIMS = 100
"""Of each node."""
THEIR_CLAIMS = 10
AT_MOST = 1000 / 300
"""Milliseconds an address: 300 a second."""
OF_WHEREABOUTS_AT_MOST = 1 / 50
_NETWORK = "leases"
_SUBNET = "10.40.0.0/16"
_THEIR_SUBNET = "10.41.0.0/16"
_SECONDS = 300
# Its kinds by name only: what is in them is Whereabouts' to know.
_THEIR_KINDS = {
    "ippools": "IPPool",
    "overlappingrangeipreservations": "OverlappingRangeIPReservation",
}
_THEIR_GROUP = "whereabouts.cni.cncf.io"


@dataclass(frozen=True)
class Took:
    """So many addresses in so long."""

    addresses: int
    different: int
    seconds: float

    @property
    def milliseconds(self) -> float:
        return self.seconds * 1000 / self.addresses


def measure(cluster: BenchCluster, programs: Path, whereabouts: Path | None) -> list[Row]:
    nodes = [
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"bench-{i}"}}
        for i in range(NODES)
    ]
    cluster.apply(nodes)
    try:
        ours = _ours(cluster, programs)
        if whereabouts is None:
            return rows_of(ours, None)
        cluster.apply(
            [
                definition(_THEIR_GROUP, "v1alpha1", plural, kind)
                for plural, kind in _THEIR_KINDS.items()
            ]
        )
        names = [f"crd/{plural}.{_THEIR_GROUP}" for plural in _THEIR_KINDS]
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
        return rows_of(ours, _theirs(whereabouts, cluster.kubeconfig))
    finally:
        # What is measured next has one node.
        cluster.kubectl("delete", "node", *(node["metadata"]["name"] for node in nodes))


def _ours(cluster: BenchCluster, programs: Path) -> dict[str, Took]:
    network = {
        "apiVersion": "multinet.dev/v1alpha1",
        "kind": "PodNetwork",
        "metadata": {"name": _NETWORK},
        "spec": {"type": "VXLAN", "ipam": {"subnets": [{"cidr": _SUBNET}]}},
    }
    cluster.make_networks([network])
    uid = cluster.kubectl("get", "podnetwork", _NETWORK, "-o", "jsonpath={.metadata.uid}")
    command = [str(programs / "multinet-bench-leases"), f"--kubeconfig={cluster.kubeconfig}"]
    command += [f"--network={_NETWORK}", f"--uid={uid}", f"--cidr={_SUBNET}"]
    command += [f"--nodes={NODES}", f"--claims={CLAIMS}"]
    lines = samples_of(command, "", _SECONDS)
    return {line.pop("case"): Took(**line) for line in lines}


def _theirs(program: Path, kubeconfig: Path) -> Took:
    """A pod after the other on each node, as a runtime asks its plugins."""
    with tempfile.TemporaryDirectory(prefix="multinet-bench-") as directory:
        flat = Path(directory) / "whereabouts.conf"
        flat.write_text(json.dumps({"kubernetes": {"kubeconfig": str(kubeconfig)}}))
        with _namespace() as netns:
            return _add_all(program, flat, netns)


@contextmanager
def _namespace() -> Iterator[str]:
    """The path of a network namespace that isn't this one: a plugin insists on that."""
    holder = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo; exec sleep 600"], stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout
        holder.stdout.readline()
        yield f"/proc/{holder.pid}/ns/net"
    finally:
        holder.kill()
        holder.wait()


def _add_all(program: Path, flat: Path, netns: str) -> Took:
    ipam = {
        "type": "whereabouts",
        "range": _THEIR_SUBNET,
        "configuration_path": str(flat),
        "log_level": "error",
    }
    config = {"cniVersion": "1.0.0", "name": "leases", "type": "macvlan", "ipam": ipam}

    def on_node(node: int) -> list[str]:
        pods = [f"bench-{node}-{i}" for i in range(THEIR_CLAIMS)]
        return [_add(program, json.dumps(config), netns, pod) for pod in pods]

    begin = time.monotonic()
    with ThreadPoolExecutor(NODES) as pool:
        addresses = [one for found in pool.map(on_node, range(NODES)) for one in found]
    return Took(len(addresses), len(set(addresses)), time.monotonic() - begin)


def _add(program: Path, config: str, netns: str, pod: str) -> str:
    environment = {
        **os.environ,
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": pod,
        "CNI_NETNS": netns,
        "CNI_IFNAME": "net1",
        "CNI_PATH": str(program.parent),
        "CNI_ARGS": f"K8S_POD_NAMESPACE=default;K8S_POD_NAME={pod}",
    }
    done = subprocess.run(
        [str(program)], input=config, env=environment, text=True, capture_output=True,
        timeout=_SECONDS, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise ClusterError(f"ask Whereabouts for an address: {done.stdout}{done.stderr}")
    return str(json.loads(done.stdout)["ips"][0]["address"])


def rows_of(ours: Mapping[str, Took], theirs: Took | None) -> list[Row]:
    claimed, again = ours["claim"], ours["again"]
    rows = []
    first = [Comparison("300 addresses/s", "ms", exactly(claimed.milliseconds), AT_MOST)]
    if theirs is None:
        rows.append(Row(GROUP, "an address: Whereabouts", missing="it can't be built"))
    else:
        what = f"an address, {theirs.addresses} on {NODES} nodes at once: Whereabouts"
        rows.append(Row(GROUP, what, [theirs.milliseconds]))
        ratio = exactly(claimed.milliseconds / theirs.milliseconds)
        first.append(Comparison("Whereabouts", "x", ratio, OF_WHEREABOUTS_AT_MOST))
    what = f"an address, {claimed.addresses} on {NODES} nodes at once"
    rows.append(Row(GROUP, f"{what}: ours", [claimed.milliseconds], first))
    rows.append(Row(GROUP, f"{what}: ours, the same pods again", [again.milliseconds]))
    twice = sum(took.addresses - took.different for took in (claimed, again))
    none = [Comparison("", "", exactly(twice), 0)]
    return [*rows, Row(GROUP, "  given twice", [twice], none, unit="")]
