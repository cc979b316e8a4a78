"""What the log of Go's test runner says became of the suite's cases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_CASE = re.compile(r"^    --- (PASS|FAIL|SKIP): Conformance/(\w+) \((\d+\.\d+)s\)$")
_STEP = re.compile(r"^        --- (PASS|FAIL|SKIP): Conformance/\w+/")


@dataclass
class Case:
    """One case. `steps` are its sub-tests, of which `failed` failed."""

    name: str
    result: str
    seconds: float
    steps: int = 0
    failed: int = 0


def cases_of(lines: Iterable[str]) -> list[Case]:
    """In the order of the log, which tells of a case's steps after it."""
    cases: list[Case] = []
    for line in lines:
        if found := _CASE.match(line):
            cases.append(Case(found[2], found[1], float(found[3])))
        elif cases and (step := _STEP.match(line)):
            cases[-1].steps += 1
            cases[-1].failed += step[1] == "FAIL"
    return cases


def table(cases: Sequence[Case]) -> str:
    width = max(len(case.name) for case in cases)
    lines = [f"{'CASE':{width}}  RESULT  STEPS  FAILED  SECONDS"]
    for case in cases:
        numbers = f"{case.steps:5}  {case.failed:6}  {case.seconds:7.1f}"
        lines.append(f"{case.name:{width}}  {case.result:6}  {numbers}")
    return "\n".join(lines)
