#!/usr/bin/env python3
"""No source file above 800 lines, nine of ten under 400, the median at most 150."""

import pathlib
import statistics
import sys


def main():
    root = pathlib.Path(sys.argv[1])
    sizes = {}
    for top in ("lib", "controller", "webhook", "nodeagent", "cli", "test", "bench"):
        for path in (root / top).rglob("*"):
            if path.suffix in (".cc", ".h", ".py"):
                sizes[path] = len(path.read_text(errors="replace").splitlines())
    large = [
        f"{path.relative_to(root)}: {size} lines, at most 800"
        for path, size in sizes.items()
        if size > 800
    ]
    over = sum(size > 400 for size in sizes.values())
    median = statistics.median(sizes.values())
    if over * 10 > len(sizes):
        large.append(
            f"{over} of {len(sizes)} files have more than 400 lines; at most one of ten may"
        )
    if median > 150:
        large.append(f"the median file has {median} lines; at most 150")
    print("\n".join(large) or f"{len(sizes)} files, median {median:.0f} lines, {over} above 400")
    sys.exit(1 if large else 0)


if __name__ == "__main__":
    main()
