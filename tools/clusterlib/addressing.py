"""Every address and port of a cluster, computed from its name and a node's number.

All of it lives inside the cluster's own namespaces, so two clusters use the same subnets without
meeting. Only the loopback port is the machine's, so only the port depends on the name.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass

from clusterlib.errors import EXIT_UNUSABLE, ClusterError

UNDERLAY_V4 = ipaddress.IPv4Network("10.90.0.0/24")
UNDERLAY_V6 = ipaddress.IPv6Network("fd90::/64")
POD_CIDRS = ("10.91.0.0/16", "fd91::/48")
CLUSTER_PREFIXES = (*POD_CIDRS, str(UNDERLAY_V4), str(UNDERLAY_V6))
"""What pods and nodes have: the ranges that stay on a pod's first interface."""
SERVICE_CIDRS = ("10.92.0.0/16", "fd92::/108")
CONTROL_PLANE_V4 = "10.90.0.1"
CONTROL_PLANE_V6 = "fd90::1"
API_SERVICE_V4 = "10.92.0.1"
API_SERVICE_V6 = "fd92::1"
DNS_SERVICE_V4 = "10.92.0.10"
DNS_SERVICE_V6 = "fd92::a"
API_PORT = 6443

MAX_NODES = 50
_FIRST_PORT = 20000
"""Below 32768, where Linux starts to hand out ports to outgoing connections."""
_PORTS = 10000
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?")


@dataclass(frozen=True)
class NodeAddresses:
    """The addresses of one node; v4 first, since the cluster's primary family is IPv4."""

    node: tuple[str, str]
    pod_cidrs: tuple[str, str]


def check_name(name: str) -> str:
    """Returns the name when it can stand in file names, host names and link names."""
    if not _NAME.fullmatch(name):
        raise ClusterError(
            f"use cluster name {name!r}: want at most 20 of a-z, 0-9 and -, a letter first and no "
            "- at the end",
            EXIT_UNUSABLE,
        )
    return name


def node_addresses(number: int) -> NodeAddresses:
    """Addresses of node `number`, which counts from 1."""
    if not 1 <= number <= MAX_NODES:
        raise ClusterError(f"number nodes: {number} is not 1 to {MAX_NODES}", EXIT_UNUSABLE)
    return NodeAddresses(
        node=(str(UNDERLAY_V4[10 + number]), f"fd90::{10 + number}"),
        pod_cidrs=(f"10.91.{number}.0/24", f"fd91:0:0:{number:x}::/64"),
    )


def port_candidates(name: str, count: int = 20) -> list[int]:
    """Loopback ports to try for a cluster, the same ones in the same order each time."""
    digest = hashlib.sha256(name.encode()).digest()
    first = int.from_bytes(digest[:4], "big") % _PORTS
    return [_FIRST_PORT + (first + step) % _PORTS for step in range(count)]
