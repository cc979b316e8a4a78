"""The command line of tools/cluster."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from clusterlib import cluster as clusters
from clusterlib import gobuild, interrupts, verbs
from clusterlib.addressing import check_name
from clusterlib.bringup import Wish
from clusterlib.errors import EXIT_UNUSABLE, ClusterError, told
from clusterlib.layout import Layout
from clusterlib.node import Agent
from clusterlib.progress import Progress

DEFAULT_NAME = "demo"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools/cluster", description="A whole Kubernetes on this machine, for demos and tests."
    )
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--name", default=DEFAULT_NAME, help="the cluster's name [%(default)s]")
    parts = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    up = parts.add_parser("up", parents=[shared], help="start a cluster")
    up.add_argument("--nodes", type=int, default=2, metavar="N", help="[%(default)s]")
    up.add_argument("--agent", default="none", metavar="PATH", help="the node agent, or none")
    up.add_argument("--agent-arg", action="append", default=[], help="one more argument for it")
    up.add_argument("--image", action="append", default=[], nargs="+", metavar="TAR")
    up.add_argument("--port", type=int, help="the loopback port of the API server")

    parts.add_parser("down", parents=[shared], help="end it and remove all of it")
    parts.add_parser("build", help="only build its programs")
    parts.add_parser("status", parents=[shared], help="what runs and where")
    collect = parts.add_parser("collect", parents=[shared], help="save all that explains a failure")
    collect.add_argument("directory", nargs="?", type=Path)
    logs = parts.add_parser("logs", parents=[shared], help="print programs' logs")
    logs.add_argument("component", nargs="?", help="such as kubelet, or n1/kubelet")
    logs.add_argument("-f", "--follow", action="store_true")
    load = parts.add_parser("load-image", parents=[shared], help="load images into all nodes")
    load.add_argument("tar", nargs="+", type=Path)
    for verb in ("start", "stop", "restart", "kill"):
        order = parts.add_parser(verb, parents=[shared], help=f"{verb} one program of a machine")
        order.add_argument("machine")
        order.add_argument("component")
        if verb == "kill":
            order.add_argument("--signal", default="KILL")
    run = parts.add_parser("node-exec", parents=[shared], help="run a command in a machine")
    run.add_argument("machine", metavar="NODE")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    kubectl = parts.add_parser("kubectl", parents=[shared], help="kubectl as administrator")
    kubectl.add_argument("command", nargs=argparse.REMAINDER, metavar="-- ARGUMENTS")
    return parser


def _wish(options: argparse.Namespace) -> Wish:
    if not 1 <= options.nodes <= 20:
        raise ClusterError(f"start {options.nodes} nodes: want 1 to 20", EXIT_UNUSABLE)
    agent = None
    if options.agent != "none":
        path = Path(options.agent).absolute()
        if not path.is_file():
            raise ClusterError(f"start agent {path}: no such file", EXIT_UNUSABLE)
        agent = Agent(path, tuple(options.agent_arg))
    archives = [Path(path).absolute() for group in options.image for path in group]
    for archive in archives:
        if not archive.is_file():
            raise ClusterError(f"load image {archive}: no such file", EXIT_UNUSABLE)
    return Wish(nodes=options.nodes, agent=agent, images=archives, port=options.port)


def _run(options: argparse.Namespace) -> int:
    if options.verb == "build":
        print(gobuild.build_all(Progress()).path().partition(":/usr/local/sbin")[0])
        return 0
    if options.verb == "up":
        verbs.greet(clusters.up(options.name, _wish(options), Progress()))
        return 0
    if options.verb == "down":
        found = clusters.down(options.name)
        print(f"cluster {options.name} " + ("is gone" if found else "wasn't there"))
        return 0
    cluster = clusters.Cluster(Layout(check_name(options.name)))
    return verbs.VERBS[options.verb](cluster, options)


def main() -> int:
    interrupts.end_on_signals()
    options = _parser().parse_args()
    try:
        return _run(options)
    except ClusterError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"cluster: {told(error)}", file=sys.stderr)
        return EXIT_UNUSABLE
    except KeyboardInterrupt:
        print("cluster: interrupted", file=sys.stderr)
        return 130
