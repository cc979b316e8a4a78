"""P6 and P7: all the pods of a node at once, and their end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from benchlib.rows import Comparison, Memory, Row
from benchlib.stats import exactly, factor
from clusterlib.errors import ClusterError

PODS = 110
"""What a kubelet takes unless it is configured otherwise."""
NETWORKS = ("blue", "storm-a", "storm-b", "storm-c")
ALONE, FLOOR, AGENT = "alone", "floor", "agent"
LINKS = ("veth", "veth", "veth", "macvlan")
"""What NETWORKS come to in a pod."""
WALL_AT_MOST = 1.02
MEMORY_AT_MOST = 64.0
OF_MULTUS_AT_MOST = 1 / 3


def manifests() -> list[dict[str, Any]]:
    """The networks beside blue: tunnels and a macvlan, each with room for all pods twice."""
    return [
        _network("storm-a", {"type": "VXLAN", "vxlan": {}}, "10.31.0.0/16"),
        _network("storm-b", {"type": "VXLAN", "vxlan": {}}, "10.32.0.0/16"),
        _network("storm-c", {"type": "Macvlan", "macvlan": {"parent": "eth1"}}, "10.33.0.0/16"),
    ]


def _network(name: str, kind: dict[str, Any], subnet: str) -> dict[str, Any]:
    return {
        "apiVersion": "multinet.dev/v1alpha1",
        "kind": "PodNetwork",
        "metadata": {"name": name},
        "spec": {
            **kind,
            "ipam": {"subnets": [{"cidr": subnet}]},
            "access": {"namespaces": {"from": "All"}},
        },
    }


def rows_of(
    lines: Sequence[Mapping[str, Any]],
    held: Sequence[Mapping[str, Any]],
    agent: Memory | None,
    multus: Memory | None,
) -> list[Row]:
    """`held`: the same while the control plane stood still. `multus`: of Multus' daemon, for as
    many interfaces."""
    made = _seconds(lines, "milliseconds")
    stopped = _seconds(lines, "stopMilliseconds")
    failed = sum(line["failed"] for line in (*lines, *held))
    if not made[AGENT]:
        raise ClusterError("measure a storm: no round was done")
    what = f"{PODS} pods at once"
    rows = []
    for group, took, act in (("P6", made, "made"), ("P7", stopped, "stopped")):
        compared = [
            Comparison("runtime alone", "x", factor(took[AGENT], took[ALONE]), WALL_AT_MOST),
            Comparison("the floor", "x", factor(took[AGENT], took[FLOOR])),
        ]
        rows.append(Row(group, f"{what} {act}: runtime alone", took[ALONE], unit="s"))
        rows.append(_floor_row(group, f"{what} {act}: the floor", took))
        rows.append(
            Row(group, f"{what} {act}: agent, 4 interfaces each", took[AGENT], compared, unit="s")
        )
    took = _seconds(held, "milliseconds")
    if took[AGENT]:
        still = "  the same, the control plane stands still"
        compared = [
            Comparison("runtime alone", "x", factor(took[AGENT], took[ALONE])),
            Comparison("the floor", "x", factor(took[AGENT], took[FLOOR])),
        ]
        rows.append(Row("P6", f"{still}: runtime alone", took[ALONE], unit="s"))
        rows.append(_floor_row("P6", f"{still}: the floor", took))
        rows.append(Row("P6", f"{still}: agent", took[AGENT], compared, unit="s"))
    none = Comparison("", "", exactly(failed), 0)
    rows.append(Row("P6", "  calls that failed", [failed], [none], unit=""))
    if agent is not None:
        mebibytes = agent.peak / 1024
        compared = [Comparison("", "MiB", exactly(mebibytes), MEMORY_AT_MOST)]
        if multus is not None:
            ratio = exactly(agent.peak / multus.peak)
            compared.append(Comparison("Multus thick", "x", ratio, OF_MULTUS_AT_MOST))
        what = "  the agent's highest resident memory"
        rows.append(Row("P6", what, [mebibytes], compared, unit="MiB"))
    return rows


def _floor_row(group: str, what: str, took: Mapping[str, list[float]]) -> Row:
    compared = [Comparison("runtime alone", "x", factor(took[FLOOR], took[ALONE]))]
    return Row(group, what, took[FLOOR], compared, unit="s")


def _seconds(lines: Sequence[Mapping[str, Any]], figure: str) -> dict[str, list[float]]:
    """By case, a value a round."""
    took: dict[str, list[float]] = defaultdict(list)
    for line in lines:
        took[line["case"]].append(line[figure] / 1000)
    return took
