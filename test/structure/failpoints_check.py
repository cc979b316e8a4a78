#!/usr/bin/env python3
"""docs/failpoints.md has every failpoint of the code, and no other."""

import pathlib
import re
import sys

TABLE = "nodeagent/sandbox/way.cc"


def of_code(path, text):
    """Places without `.before` and `.after`: a text that begins with a word and a dot, in a call."""
    found = set()
    for call in re.finditer(r"failpoint::(?:pass|check)\(([^;]*?)\)[;,:)]", text, re.DOTALL):
        found |= set(re.findall(r'"([a-z]+\.[a-z.-]+)"', call.group(1)))
    if path == TABLE:
        for row in re.finditer(r"\{([^{}]*&Run::[^{}]*)\}", text, re.DOTALL):
            name, *others = re.findall(r'"([^"]*)"', row.group(1))
            undo = [other for other in others if other.startswith("rollback-")]
            found |= {f"sandbox.{one}" for one in [name, *undo]}
    return {re.sub(r"\.(before|after)$", "", place) for place in found}


def of_docs(page):
    """The same of the page: places stand in the first column, steps of a sandbox in the second."""
    found = set()
    for row in re.findall(r"^\| (`.*?) \| (.*) \|$", page, re.MULTILINE):
        places = [place for place in re.findall(r"`([^`]+)`", row[0]) if not place.startswith(".")]
        if places == ["sandbox.<step>.before"]:
            places = [f"sandbox.{step}" for step in re.findall(r"`([^`]+)`", row[1])]
        found |= {re.sub(r"\.(before|after)$", "", place) for place in places}
    return {place for place in found if "<" not in place}


def complaints(files, page):
    """What the page lacks, or has too much."""
    code = set().union(*(of_code(path, text) for path, text in files.items()))
    docs = of_docs(page)
    return [f"docs/failpoints.md: {place} is missing" for place in sorted(code - docs)] + [
        f"docs/failpoints.md: no code has a place {place}" for place in sorted(docs - code)
    ]


def main():
    root = pathlib.Path(sys.argv[1])
    files = {}
    for room in ("lib", "controller", "webhook", "nodeagent"):
        for path in (root / room).rglob("*.cc"):
            if not path.name.endswith("_test.cc"):
                files[str(path.relative_to(root))] = path.read_text()
    found = complaints(files, (root / "docs/failpoints.md").read_text())
    print("\n".join(found) or "every failpoint is described")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
