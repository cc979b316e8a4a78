"""S4 to S8, S11: what services on a network cost a node, beside the table that kube-proxy has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchlib.program import samples_of
from benchlib.rows import Comparison, Row
from benchlib.stats import estimate, exactly, factor
from clusterlib.errors import ClusterError

PROXY = "kube-proxy's table"
_CONNECT_AT_MOST, _PLAIN_AT_MOST, _STREAM_AT_MOST = 1.08, 1.02, 1.02
_KERNEL_MIB, _AGENT_MIB = 16, 24
_CHANGE_KERNEL_US, _CHANGE_US, _CHANGE_OF_PROXY = 10, 200, 1 / 20
_JOIN_US, _RESTART_MS = 50, 1000
_SERVICES, _ENDPOINTS = 1000, 100
_SIZE = f"{_SERVICES} services of {_ENDPOINTS}"
_MEBIBYTES = 32
Samples = Mapping[tuple[str, str], Sequence[float]]


def measure(programs: Path, rounds: int, seconds: int) -> list[Row]:
    """Each round takes each way once."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for part in ("traffic", "state", "join"):
        command = ["unshare", "--net", "--mount", "--", str(programs / "multinet-bench-services")]
        command += [part, f"--rounds={rounds}", f"--seconds={seconds}"]
        command += [f"--mebibytes={_MEBIBYTES}"]
        command += [f"--services={_SERVICES}", f"--endpoints={_ENDPOINTS}"]
        for sample in samples_of(command, "", seconds * 4 + 240):
            found[sample["what"], sample["case"]].append(sample["value"])
    return rows_of(found)


def rows_of(found: Samples) -> list[Row]:
    """All of it; what has no round is an error."""
    try:
        return [*_connects(found), *_streams(found), *_state(found)]
    except KeyError as error:
        raise ClusterError(f"measure services: nothing was measured of {error}") from None


def _connects(found: Samples) -> list[Row]:
    direct, proxy = found["connect", "direct"], found["connect", "nftables"]
    service, plain = found["connect", "service"], found["connect", "plain"]
    return [
        Row("S4", "connect to the endpoint itself", direct, unit="us"),
        Row(
            "S4",
            "connect, a pod without networks",
            plain,
            [Comparison("the endpoint itself", "x", factor(plain, direct), _PLAIN_AT_MOST)],
            unit="us",
        ),
        Row(
            "S4",
            "connect to a ClusterIP on a network",
            service,
            [
                Comparison("the endpoint itself", "x", factor(service, direct), _CONNECT_AT_MOST),
                Comparison(PROXY, "x", factor(service, proxy)),
            ],
            unit="us",
        ),
        Row(
            "S4",
            f"connect by {PROXY}",
            proxy,
            [Comparison("the endpoint itself", "x", factor(proxy, direct))],
            unit="us",
        ),
    ]


def _streams(found: Samples) -> list[Row]:
    rows = []
    for what, text, unit in (
        ("datagram", "UDP there and back, connected", "us"),
        ("datagram by name", "UDP there and back, by address each time", "us"),
        ("stream", f"{_MEBIBYTES} MiB of TCP", "ms"),
        ("8 streams", f"{_MEBIBYTES} MiB of TCP in 8 streams", "ms"),
    ):
        direct, service = found[what, "direct"], found[what, "service"]
        proxy = found[what, "nftables"]
        compared = [
            Comparison("nothing installed", "x", factor(service, direct), _STREAM_AT_MOST),
            Comparison(PROXY, "x", factor(service, proxy)),
        ]
        rows.append(Row("S5", text, service, compared, unit=unit))
    return rows


def _state(found: Samples) -> list[Row]:
    kernel, agent = found["kernel memory", "maps"], found["agent memory", "maps"]
    table = found["kernel memory", "nftables"]
    change, written = found["change", "maps"], found["change, kernel", "maps"]
    proxy = found["change", "nftables"]
    restart, writes = found["restart", "maps"], found["restart writes", "maps"]
    anew = found["restart", "nftables"]
    join, without = found["join", "services"], found["join", "none"]
    return [
        Row(
            "S6",
            f"kernel's memory, {_SIZE}",
            kernel,
            [
                Comparison("", "MiB", exactly(max(kernel)), _KERNEL_MIB),
                Comparison(PROXY, "x", exactly(max(kernel) / min(table))),
            ],
            unit="MiB",
        ),
        Row("S6", f"kernel's memory, {PROXY}", table, unit="MiB"),
        Row(
            "S6",
            "agent's memory, the same",
            agent,
            [Comparison("", "MiB", exactly(max(agent)), _AGENT_MIB)],
            unit="MiB",
        ),
        Row(
            "S7",
            f"one of {_ENDPOINTS} endpoints changes: the maps",
            written,
            [Comparison("", "us", estimate(written), _CHANGE_KERNEL_US)],
            unit="us",
        ),
        Row(
            "S7",
            "the same, with the slice read and decided on",
            change,
            [
                Comparison("", "us", estimate(change), _CHANGE_US),
                Comparison(PROXY, "x", factor(change, proxy), _CHANGE_OF_PROXY),
            ],
            unit="us",
        ),
        Row("S7", f"the same, {PROXY}: one transaction", proxy, unit="us"),
        Row(
            "S8",
            "added to a pod's start",
            join,
            [Comparison("", "us", estimate([a - b for a, b in zip(join, without)]), _JOIN_US)],
            unit="us",
        ),
        Row(
            "S11",
            f"another agent takes over {_SIZE}",
            restart,
            [Comparison("", "ms", estimate(restart), _RESTART_MS)],
        ),
        Row(
            "S11",
            "what it writes",
            writes,
            [Comparison("", "writes", exactly(max(writes)), 0)],
            unit="",
        ),
        Row("S11", f"{PROXY} written anew", anew),
    ]
