"""P1 to P3: interfaces into a pod, by the engine, by bare netlink, by CNI plugins, by Multus."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchlib.program import samples_of
from benchlib.rows import Comparison, Row
from benchlib.stats import estimate, factor
from clusterlib.errors import ClusterError

# kind, group, plugin, at most so many times as long as bare netlink, as the plugin
KINDS = (
    ("macvlan", "P1", "macvlan", 1.3, 1 / 15),
    ("veth", "P2", "bridge", 1.3, 1 / 10),
)


SECURED_MS = 0.3
"""Port security adds at most so much, among a hundred ports."""

# How many macvlans at once, and at most so many times as long as Multus takes.
MANY = {1: None, 4: 1 / 20, 16: 1 / 30}


def measure(programs: Path, plugins: Path, rounds: int, seconds: int) -> list[Row]:
    """The rows of both kinds. A plugin that isn't there is said, not passed over."""
    rows: list[Row] = []
    for kind, group, plugin, to_netlink, to_plugin in KINDS:
        there = all((plugins / name).is_file() for name in (plugin, "host-local"))
        with tempfile.TemporaryDirectory(prefix="multinet-bench-") as leases:
            command = ["unshare", "--net", "--mount", "--"]
            command += [str(programs / "multinet-bench-attach"), kind, f"--leases={leases}"]
            command += [f"--rounds={rounds}", f"--seconds={seconds}"]
            command += [f"--plugins={plugins}"] if there else []
            lines = samples_of(command, "", seconds * 4 + 60)
        took: dict[str, list[float]] = defaultdict(list)
        for line in lines:
            took[line["case"]].append(line["milliseconds"])
        if not took["engine"]:
            raise ClusterError(f"measure attach of a {kind}: no round was done")
        netlink = Row(group, f"one {kind}: bare netlink", took["netlink"])
        cni = Row(group, f"one {kind}: CNI {plugin} + host-local", took["cni"])
        compared = [
            Comparison("bare netlink", "x", factor(took["engine"], took["netlink"]), to_netlink)
        ]
        if there:
            compared.append(Comparison("CNI", "x", factor(took["engine"], took["cni"]), to_plugin))
        else:
            cni = Row(group, cni.what, missing=f"no {plugin} or host-local among the built parts")
        rows += [netlink, cni, Row(group, f"one {kind}: attach engine", took["engine"], compared)]
        if took["secured"]:
            rows.append(_secured(group, kind, took["secured"], took["engine"]))
    return rows


def _secured(group: str, kind: str, secured: list[float], engine: list[float]) -> Row:
    added = estimate([one - other for one, other in zip(secured, engine)])
    what = f"one {kind}: attach engine, port security"
    return Row(group, what, secured, [Comparison("more than without", "ms", added, SECURED_MS)])


def many(
    programs: Path, plugins: Path, multus: Path | None, rounds: int, seconds: int
) -> list[Row]:
    """P3: several macvlans at once, by the engine and by Multus with macvlan and host-local."""
    if multus is None:
        return [Row("P3", "1, 4, 16 macvlans: Multus", missing="Multus can't be built")]
    with tempfile.TemporaryDirectory(prefix="multinet-bench-") as leases:
        command = ["unshare", "--net", "--mount", "--"]
        command += [str(programs / "multinet-bench-attach"), "macvlan", f"--leases={leases}"]
        command += [f"--rounds={rounds}", f"--seconds={seconds}", f"--plugins={plugins}"]
        command += [f"--multus={multus / 'multus'}"]
        lines = samples_of(command, "", seconds * 4 + 60)
    return rows_of_many(lines)


def rows_of_many(lines: Sequence[Mapping[str, Any]]) -> list[Row]:
    took: dict[str, list[float]] = defaultdict(list)
    for line in lines:
        took[line["case"]].append(line["milliseconds"])
    rows = []
    for count, at_most in MANY.items():
        engine, multus = took[f"engine {count}"], took[f"multus {count}"]
        if not engine:
            raise ClusterError("measure several interfaces: no round was done")
        what = "1 macvlan" if count == 1 else f"{count} macvlans"
        compared = [Comparison("Multus", "x", factor(engine, multus), at_most)]
        if count > 1:
            # Linear: so many cost at most so many times as one.
            compared.append(Comparison("1 macvlan", "x", factor(engine, took["engine 1"]), count))
        rows.append(Row("P3", f"{what}: Multus + macvlan + host-local", multus))
        rows.append(Row("P3", f"{what}: attach engine", engine, compared))
    return rows
