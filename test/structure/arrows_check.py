#!/usr/bin/env python3
"""Reads every #include against tools/arrows.txt, and keeps third-party doors where they belong."""

import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
# What stands only in certain files: header prefix -> pattern of paths that may include it.
DOORS = {
    "cpprest/": r"^lib/kube/cpprest_\w+\.cc$",
    "pplx/": r"^lib/kube/cpprest_\w+\.cc$",
    "boost/beast": r"^(lib/http|lib/kube|test/support)/\w+\.(cc|h)$",
    "grpcpp/": r"^(nodeagent/cri|nodeagent|test/support|bench)/\w+\.(cc|h)$",
    "linux/netlink.h": r"^lib/(netlink|netns|nft)/",
    # kernel_networks.cc only for the numbers of events.
    "linux/rtnetlink.h": r"^lib/(netlink|netns|nft)/|^nodeagent/networks/kernel_networks\.cc$",
    "nftables/": r"^lib/nft/",
    "sqlite3.h": r"^lib/store/",
}
TESTS_ONLY = "test:"  # before a room that only another's tests may use
BEAST_LIMIT = 4  # translation units: each costs up to 40 s and 2 GB under a sanitizer


def read_arrows(text):
    """`room: used rooms` lines as {room: set}; `*` means any, `test:room` only for its tests."""
    arrows = {}
    for line in text.splitlines():
        line = line.split("#")[0].strip()
        if line:
            room, used = line.split(":", 1)
            arrows[room.strip()] = set(used.split())
    return arrows


def room_of(path, rooms):
    """The deepest room that holds a path, or None."""
    best = None
    for room in rooms:
        if path.startswith(room + "/") and (best is None or len(room) > len(best)):
            best = room
    return best


def is_test(path):
    return bool(
        re.search(r"(_test|_fuzz|_bench)\.cc$|_fixture\.h$|/fake_\w+\.h$", path)
    ) or path.startswith("test/")


def check(files, arrows):
    """Complaints about {path: text}."""
    complaints = []
    beast = []
    for path, text in sorted(files.items()):
        room = room_of(path, arrows)
        if room is None:
            complaints.append(f"{path}: stands in no room of tools/arrows.txt; add the room there")
            continue
        for number, line in enumerate(text.splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            header = match[2]
            for prefix, allowed in DOORS.items():
                if header.startswith(prefix) and not is_test(path) and not re.match(allowed, path):
                    complaints.append(f"{path}:{number}: may not include {header} ({allowed} may)")
            if header.startswith("boost/beast") and path.endswith(".cc") and path not in beast:
                beast.append(path)
            other = room_of(header, arrows)
            if (
                other in (None, room, "lib/base")
                or "*" in arrows[room]
                and "*" not in arrows[other]
            ):
                continue
            # A fake lives beside its door, for every room's tests.
            if is_test(path) and (other == "test/support" or "/fake_" in header):
                continue
            if other not in arrows[room] and not (
                is_test(path) and TESTS_ONLY + other in arrows[room]
            ):
                complaints.append(f"{path}:{number}: {room} may not use {other} ({header})")
    if len(beast) > BEAST_LIMIT:
        complaints.append(f"Beast stands in {len(beast)} units, at most {BEAST_LIMIT}: {beast}")
    return complaints


def unused(files, arrows):
    """Arrows of the table that no product include follows: a table that allows more than the house
    needs guards less than it seems."""
    walked = {room: set() for room in arrows}
    for path, text in files.items():
        room = room_of(path, arrows)
        if room is None or "/fake_" in path:
            continue
        tests_only = TESTS_ONLY if is_test(path) else ""
        for line in text.splitlines():
            match = INCLUDE.match(line)
            if match:
                walked[room].add(f"{tests_only}{room_of(match[2], arrows)}")
    return [
        f"tools/arrows.txt: {room} doesn't use {other}; take the arrow out"
        for room, others in sorted(arrows.items())
        for other in sorted(others - walked[room] - {"*"})
    ]


def cycles(arrows):
    """Rooms that reach themselves."""
    found = []
    for start in arrows:
        seen, todo = set(), [start]
        while todo:
            for used in arrows.get(todo.pop(), ()):
                if used == start:
                    found.append(start)
                    todo = []
                    break
                if used not in seen:
                    seen.add(used)
                    todo.append(used)
    return found


def main():
    root = pathlib.Path(sys.argv[1])
    arrows = read_arrows((root / "tools/arrows.txt").read_text())
    files = {}
    for top in ("lib", "controller", "webhook", "nodeagent", "cli", "test", "bench"):
        for path in (root / top).rglob("*"):
            if path.suffix in (".cc", ".h"):
                files[str(path.relative_to(root))] = path.read_text(errors="replace")
    complaints = (
        check(files, arrows)
        + unused(files, arrows)
        + [f"tools/arrows.txt: {r} reaches itself" for r in cycles(arrows)]
    )
    print("\n".join(complaints) or f"{len(files)} files keep to {len(arrows)} rooms' arrows")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
