#!/usr/bin/env python3
"""docs/rooms.md has every room of tools/arrows.txt, in three lines, and no other."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from arrows_check import read_arrows  # noqa: E402


def read_rooms(text):
    """{room: its lines} of the third-level headings."""
    rooms, lines = {}, None
    for line in text.splitlines():
        if line.startswith("### "):
            lines = rooms.setdefault(line[4:].strip(), [])
        elif line.startswith("#"):
            lines = None
        elif line.strip() and lines is not None:
            lines.append(line)
    return rooms


def complaints(page, arrows):
    """What the page lacks, or has too much."""
    rooms = read_rooms(page)
    found = [f"docs/rooms.md: room {room} is missing" for room in arrows if room not in rooms]
    for room, lines in rooms.items():
        if room not in arrows:
            found.append(f"docs/rooms.md: {room} isn't a room of tools/arrows.txt")
        if len(lines) != 3:
            found.append(f"docs/rooms.md: {room} has {len(lines)} lines, it must have three")
    return found


def main():
    root = pathlib.Path(sys.argv[1])
    arrows = read_arrows((root / "tools/arrows.txt").read_text())
    found = complaints((root / "docs/rooms.md").read_text(), arrows)
    print("\n".join(found) or f"{len(arrows)} rooms are described")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
