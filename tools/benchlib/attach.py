"""P1 and P2: one interface into a pod, by the engine, by bare netlink, by the reference plugins."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path

from benchlib.program import samples_of
from benchlib.rows import Comparison, Row
from benchlib.stats import factor
from clusterlib.errors import ClusterError

# kind, group, plugin, at most so many times as long as bare netlink, as the plugin
KINDS = (
    ("macvlan", "P1", "macvlan", 2.5, 1 / 20),
    ("veth", "P2", "bridge", 2.0, 1 / 10),
)


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
    return rows
