"""What is gathered of a node: the network in each of its namespaces, sandboxes, state, logs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from collectlib.jobs import Job, printed

NETWORK_COMMANDS = {
    "link": ("ip", "-d", "-s", "link"),
    "address": ("ip", "address"),
    "route4": ("ip", "-4", "route", "show", "table", "all"),
    "route6": ("ip", "-6", "route", "show", "table", "all"),
    "rule": ("ip", "rule"),
    "rule6": ("ip", "-6", "rule"),
    "neighbour": ("ip", "neighbour"),
    "fdb": ("bridge", "fdb"),
    "nft": ("nft", "-a", "list", "ruleset"),
    "sockets": ("ss", "-anp"),
}
# Pods' namespaces, and those that the agent keeps below its run directory.
NAMESPACES = """
for netns in /run/netns/* /run/multinet/* /run/multinet/*/*; do
  [ "$(stat -fc %T "$netns" 2>&-)" = nsfs ] && echo "$netns"
done
true
"""
AGENT = "unix:///run/multinet/cri.sock"
RUNTIME = "unix:///run/containerd/containerd.sock"

# How a command is run on the node: it returns the command with the way there in front.
Enter = Callable[[Sequence[str]], list[str]]


def here(argv: Sequence[str]) -> list[str]:
    """On the node itself."""
    return list(argv)


def network_jobs(place: Path, enter: Enter) -> list[Job]:
    """Links, addresses, routes, rules, nftables in the node's own namespace and in all others."""
    jobs = [
        Job(place / "network" / name, enter(argv), " ".join(argv))
        for name, argv in NETWORK_COMMANDS.items()
    ]
    for netns in printed(enter(["bash", "-c", NAMESPACES])).split():
        kind = "pods" if netns.startswith("/run/netns/") else "switch"
        for name, argv in NETWORK_COMMANDS.items():
            command = ["nsenter", f"--net={netns}", "--", *argv]
            file = place / kind / Path(netns).name / name
            jobs.append(Job(file, enter(command), " ".join(command)))
    return jobs


def runtime_jobs(place: Path, enter: Enter, crictl: str) -> list[Job]:
    """What the runtime knows of sandboxes, and what the agent says of itself."""
    command = [crictl, f"--runtime-endpoint={RUNTIME}"]
    agent = [crictl, f"--runtime-endpoint={AGENT}"]
    place = place / "runtime"
    jobs = [
        Job(place / "pods", enter([*command, "pods"])),
        Job(place / "containers", enter([*command, "ps", "-a"])),
        Job(place / "images", enter([*command, "images"])),
        Job(place / "agent-info.json", enter([*agent, "info"])),
    ]
    for sandbox in printed(enter([*command, "pods", "--quiet"])).split():
        jobs.append(Job(place / f"{sandbox[:13]}.json", enter([*command, "inspectp", sandbox])))
    return jobs


def copy(source: Path, target: Path) -> None:
    """Copies a directory or file that may not be there, without its sockets."""
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    elif source.is_dir():
        shutil.copytree(
            source,
            target,
            symlinks=True,
            ignore=lambda _, names: [entry for entry in names if entry.endswith(".sock")],
            dirs_exist_ok=True,
        )


def namespaces_of_pods(place: Path) -> list[str]:
    """Which pod each saved namespace is of, as the saved sandboxes tell it; for the index."""
    found = []
    for file in sorted((place / "runtime").glob("*.json")):
        try:
            told = json.loads(file.read_text())
            meta = told["status"]["metadata"]
            for entry in told["info"]["runtimeSpec"]["linux"]["namespaces"]:
                if entry["type"] == "network" and entry.get("path"):
                    netns = Path(entry["path"]).name
                    found.append(f"pods/{netns}: pod {meta['namespace']}/{meta['name']}")
        except (ValueError, KeyError, TypeError):
            continue  # of the agent, or of a sandbox without a namespace
    return found
