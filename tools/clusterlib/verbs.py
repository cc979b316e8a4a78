"""What the command line does with a cluster that is up: one function a verb."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clusterlib import bringup, collect, control, node, processes
from clusterlib.cluster import Cluster
from clusterlib.errors import EXIT_UNUSABLE, ClusterError
from clusterlib.inside import enter
from clusterlib.layout import TOOLS

_TAIL_LINES = 200


def greet(cluster: Cluster) -> None:
    """Tells a person what to do with a fresh cluster."""
    name = cluster.layout.name
    print(f"cluster {name} is up: {', '.join(f'{name}-{entry}' for entry in cluster.nodes)}")
    print(f"  export KUBECONFIG={cluster.layout.kubeconfig}")
    print(f"  export PATH={cluster.programs.kubernetes}:$PATH   # kubectl of the same version")
    print(f"  {TOOLS}/cluster down --name {name}   # ends it and removes everything")


def status(cluster: Cluster, _: argparse.Namespace) -> int:
    """Prints the machines and their programs; fails when one that should run doesn't."""
    print(f"cluster {cluster.layout.name}: API https://127.0.0.1:{cluster.port}")
    print(f"kubeconfig {cluster.layout.kubeconfig}")
    print(f"agent {cluster.agent or 'none'}")
    healthy = True
    for machine in cluster.machines():
        pid = processes.alive(machine)
        if pid is None:
            print(f"{machine.host_name}: dead")
            healthy = False
            continue
        print(f"{machine.host_name}: process {pid}, namespace {machine.netns}")
        for entry in control.order(machine, "status")["components"]:
            state = f"runs as {entry['pid']}" if entry["pid"] else "stopped"
            if entry["wanted"] and not entry["pid"]:
                state, healthy = "down, will be started again", False
            ended = f", last end: {entry['last_end']}" if entry["last_end"] else ""
            restarts = max(0, entry["starts"] - 1)
            age = f" for {time.time() - entry['started']:.0f} s" if entry["pid"] else ""
            print(f"  {entry['name']:<24} {state}{age}, {restarts} restarts{ended}")
    missing = cluster.api().not_ready()
    print(f"API server: {missing or 'ready'}")
    return 0 if healthy and missing is None else 1


def logs(cluster: Cluster, options: argparse.Namespace) -> int:
    """Prints (or with -f follows) the logs of all programs, or of those of one name."""
    place, _, component = (options.component or "").rpartition("/")
    files = [
        str(file)
        for machine in cluster.machines()
        if not place or machine.name == cluster.layout.machine(place).name
        for file in sorted(machine.logs.glob("*.log"))
        if not component or file.stem == component
    ]
    if not files:
        known = sorted({file.stem for m in cluster.machines() for file in m.logs.glob("*.log")})
        raise ClusterError(
            f"find logs of {options.component!r}: want one of {', '.join(known)}", EXIT_UNUSABLE
        )
    follow = ["-F"] if options.follow else []
    os.execvp("tail", ["tail", "-n", str(_TAIL_LINES), *follow, *files])


def save(cluster: Cluster, options: argparse.Namespace) -> int:
    """Collects everything into the directory, or into a new one whose name is printed."""
    target = options.directory or Path(tempfile.mkdtemp(prefix=f"multinet-{cluster.layout.name}-"))
    collect.collect(cluster, target.absolute())
    print(target)
    return 0


def load_image(cluster: Cluster, options: argparse.Namespace) -> int:
    """Loads image archives into every node."""
    archives = [path.absolute() for path in options.tar]
    nodes = [cluster.layout.machine(name) for name in cluster.nodes]
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(lambda machine: bringup.load_images(machine, archives), nodes))
    return 0


def change(cluster: Cluster, options: argparse.Namespace) -> int:
    """Starts, stops, restarts or kills one program of a machine."""
    machine, _ = cluster.machine(options.machine)
    if options.verb == "stop":
        control.stop(machine, options.component)
    elif options.verb == "restart":
        control.restart(machine, options.component)
    elif options.verb == "start":
        control.order(machine, "start", component=options.component)
    else:
        name = "SIG" + options.signal.upper().removeprefix("SIG")
        control.order(machine, "kill", component=options.component, signal=name)
    return 0


def node_exec(cluster: Cluster, options: argparse.Namespace) -> int:
    """Becomes the command, in the machine's namespaces."""
    _, pid = cluster.machine(options.machine)
    argv = enter(pid, _command(options) or ["bash"])
    os.environ["PATH"] = cluster.programs.path()
    os.environ.setdefault("CONTAINER_RUNTIME_ENDPOINT", f"unix://{node.RUNTIME_SOCKET}")
    os.execvp(argv[0], argv)


def kubectl(cluster: Cluster, options: argparse.Namespace) -> int:
    """Becomes kubectl, as the cluster's administrator."""
    program = str(cluster.programs.kubernetes / "kubectl")
    os.execv(program, [program, f"--kubeconfig={cluster.layout.kubeconfig}", *_command(options)])


def _command(options: argparse.Namespace) -> list[str]:
    command: list[str] = options.command
    return command[1:] if command[:1] == ["--"] else command


VERBS: dict[str, Callable[[Cluster, argparse.Namespace], int]] = {
    "status": status,
    "logs": logs,
    "collect": save,
    "load-image": load_image,
    "start": change,
    "stop": change,
    "restart": change,
    "kill": change,
    "node-exec": node_exec,
    "kubectl": kubectl,
}
