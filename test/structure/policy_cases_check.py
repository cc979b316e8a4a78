#!/usr/bin/env python3
"""docs/policy-cases.md has every case of Kubernetes' own suite once, each with the test that exists."""

import ast
import importlib
import pathlib
import re
import sys

SUITE = (
    49  # cases of network_policy.go; those of network_policy_api.go have an A before their places
)
API = 2


def of_page(page):
    """[(place, test)] of the table's rows."""
    return re.findall(r"^\| (A?\d+) \| [^|]+ \| ([^|]+?) \|[^|]*\|$", page, re.MULTILINE)


def complaints(rows, cases, tests):
    """What the page lacks or has wrong. `cases`: places by name of each case; `tests`: functions."""
    wanted = [str(n + 1) for n in range(SUITE)] + [f"A{n + 1}" for n in range(API)]
    places = [place for place, _ in rows]
    found = [
        f"docs/policy-cases.md: case {place} stands there {places.count(place)} times, not once"
        for place in wanted
        if places.count(place) != 1
    ]
    found += [f"docs/policy-cases.md: no case is {one}" for one in places if one not in wanted]
    for place, test in rows:
        if place.startswith("A"):
            right = test.strip("`") in tests
        else:
            right = int(place) in cases.get(test, ())
        if not right:
            found.append(f"docs/policy-cases.md: case {place} isn't tested by {test}")
    named = {test for _, test in rows}
    found += [f"docs/policy-cases.md: lacks the case {one}" for one in cases if one not in named]
    return found


def main():
    root = pathlib.Path(sys.argv[1])
    for place in ("test/e2e", "tools"):
        sys.path.insert(0, str(root / place))
    sys.dont_write_bytecode = True
    module = importlib.import_module("e2elib.policy_cases")
    cases = {name: case.upstream for name, case in module.CASES.items()}
    parsed = ast.parse((root / "test/e2e/test_policy_cases.py").read_text())
    tests = {one.name for one in parsed.body if isinstance(one, ast.FunctionDef)}
    rows = of_page((root / "docs/policy-cases.md").read_text())
    found = complaints(rows, cases, tests)
    print("\n".join(found) or f"{len(rows)} cases are described")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
