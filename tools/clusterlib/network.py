"""The wires of a cluster: all of them inside its own namespaces.

The control plane's namespace holds three bridges. `underlay` is the nodes' eth0, with addresses and
routes. `lan1` and `lan2` are the nodes' eth1 and eth2: plain Ethernet without addresses, parents for
macvlan and uplinks for bridges.
"""

from __future__ import annotations

from dataclasses import dataclass

from clusterlib.addressing import (
    CONTROL_PLANE_V4,
    CONTROL_PLANE_V6,
    NodeAddresses,
    UNDERLAY_V4,
    UNDERLAY_V6,
)
from clusterlib.run import run

BRIDGES = ("underlay", "lan1", "lan2")
"""Bridge number i carries eth<i> of each node."""

SYSCTLS = (
    "net.ipv4.ip_forward=1",
    "net.ipv4.conf.all.rp_filter=0",
    "net.ipv4.conf.default.rp_filter=0",
    "net.ipv6.conf.all.forwarding=1",
    "net.ipv6.conf.all.accept_ra=0",
    "net.ipv6.conf.default.accept_ra=0",
    "net.ipv6.conf.default.accept_dad=0",
)


@dataclass(frozen=True)
class Wired:
    """A node as the wiring sees it: process 1 tells its namespace."""

    number: int
    pid: int
    addresses: NodeAddresses


def control_plane_commands() -> list[str]:
    """`ip -batch` lines that make the bridges."""
    lines = ["link set lo up"]
    for bridge in BRIDGES:
        lines.append(f"link add {bridge} type bridge forward_delay 0 mcast_snooping 0")
        lines.append(f"link set {bridge} up")
    lines.append(f"address add {CONTROL_PLANE_V4}/{UNDERLAY_V4.prefixlen} dev underlay")
    lines.append(f"address add {CONTROL_PLANE_V6}/{UNDERLAY_V6.prefixlen} dev underlay nodad")
    return lines


def attach_commands(node: Wired) -> list[str]:
    """`ip -batch` lines that plug one node in, run in the control plane's namespace. The far ends
    are born in the node's namespace."""
    lines = []
    for index, bridge in enumerate(BRIDGES):
        near = f"n{node.number}-eth{index}"
        lines.append(f"link add {near} type veth peer name eth{index} netns {node.pid}")
        lines.append(f"link set {near} master {bridge} up")
    return lines + route_commands([node])


def node_commands(node: Wired) -> list[str]:
    """`ip -batch` lines that address one node, run in its namespace."""
    v4, v6 = node.addresses.node
    lines = ["link set lo up"] + [f"link set eth{index} up" for index in range(len(BRIDGES))]
    lines.append(f"address add {v4}/{UNDERLAY_V4.prefixlen} dev eth0")
    lines.append(f"address add {v6}/{UNDERLAY_V6.prefixlen} dev eth0 nodad")
    # Nothing is behind it, but programs look for "the interface of the default route".
    lines.append(f"route add default via {CONTROL_PLANE_V4}")
    lines.append(f"route add ::/0 via {CONTROL_PLANE_V6}")
    return lines


def route_commands(nodes: list[Wired]) -> list[str]:
    """`ip -batch` lines: the way to the pods of those nodes."""
    lines = []
    for node in nodes:
        for address, pods in zip(node.addresses.node, node.addresses.pod_cidrs, strict=True):
            lines.append(f"route replace {pods} via {address}")  # a reboot's are there still
    return lines


def wire_control_plane(pid: int) -> None:
    """Makes the bridges in the namespace of that process."""
    _in_namespace(pid, "sysctl", "-q", "-w", *SYSCTLS)
    _batch(pid, control_plane_commands())


def wire_node(control_plane: int, node: Wired, others: list[Wired]) -> None:
    """Plugs a node in, addresses it, and tells it the ways to the other nodes' pods."""
    _in_namespace(node.pid, "sysctl", "-q", "-w", *SYSCTLS)
    _batch(control_plane, attach_commands(node))
    _batch(node.pid, node_commands(node) + route_commands(others))


def _in_namespace(pid: int, *argv: str, stdin: str | None = None) -> None:
    run(["nsenter", f"--net=/proc/{pid}/ns/net", "--", *argv], stdin=stdin)


def _batch(pid: int, lines: list[str]) -> None:
    _in_namespace(pid, "ip", "-batch", "-", stdin="\n".join(lines) + "\n")
