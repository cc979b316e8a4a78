"""What a run of ctest did, test by test, read from the JUnit file that ctest writes.

ctest counts programs. One that is pytest, or ends with a line as pytest does (tools/vm), holds many
tests; they count one by one, so that a skip inside doesn't hide behind a program that passed.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as xml
from dataclasses import dataclass
from pathlib import Path

# What ctest says of a test that itself asked to be skipped; any other test that did not run is an
# error: its program isn't there.
_ASKED_TO_SKIP = ("SKIP_REGULAR_EXPRESSION_MATCHED", "SKIP_RETURN_CODE")
_PYTEST_TOTAL = re.compile(r"^=*\s*(?P<counts>\d+ \w+(?:, \d+ \w+)*) in [\d.]+s\b", re.MULTILINE)
_PYTEST_SKIP = re.compile(r"^SKIPPED \[(?P<times>\d+)\] (?P<reason>.*)$", re.MULTILINE)
_PYTEST_XFAIL = re.compile(r"^XFAIL (?P<reason>.*)$", re.MULTILINE)
_GTEST_SKIP = re.compile(r": Skipped\n(?P<reason>.*?)\n*^\[  SKIPPED \]", re.MULTILINE | re.DOTALL)
_NO_REASON = "no reason given"


@dataclass(frozen=True)
class Skip:
    """Tests of one program that did not run, and why."""

    test: str
    reason: str
    times: int = 1


@dataclass(frozen=True)
class Results:
    passed: int = 0
    failed: int = 0
    skips: tuple[Skip, ...] = ()

    @property
    def skipped(self) -> int:
        return sum(skip.times for skip in self.skips)

    def __add__(self, other: Results) -> Results:
        return Results(
            self.passed + other.passed, self.failed + other.failed, self.skips + other.skips
        )


def read(path: Path, exit_code: int) -> Results:
    """The results of a ctest run; a run that failed has at least one failure, whatever it wrote."""
    try:
        cases = list(xml.parse(path).getroot().iter("testcase"))
    except (OSError, xml.ParseError):
        cases = []
    results = sum((_case(case) for case in cases), Results())
    if not results.failed and (exit_code or not cases):
        results += Results(failed=1)
    return results


def _case(case: xml.Element) -> Results:
    name, status = case.get("name", ""), case.get("status", "")
    output = case.findtext("system-out") or ""
    skipped = case.find("skipped")
    if skipped is not None and skipped.get("message", "").startswith(_ASKED_TO_SKIP):
        return Results(skips=(Skip(name, _reason(output)),))
    if status == "disabled":
        return Results(skips=(Skip(name, "disabled in CMake"),))
    inner = _pytest(name, output)
    if status == "run":
        return inner or Results(passed=1)
    if inner is None:
        return Results(failed=1)
    return inner if inner.failed else inner + Results(failed=1)


def _pytest(name: str, output: str) -> Results | None:
    """The tests that pytest counted; nothing when it came to no total or isn't pytest at all."""
    totals = _PYTEST_TOTAL.findall(output)
    if not totals:
        return None
    counts: dict[str, int] = {}
    for count in totals[-1].split(", "):
        number, kind = count.split(" ")
        counts[kind.removesuffix("s")] = int(number)
    skips = [Skip(name, m["reason"], int(m["times"])) for m in _PYTEST_SKIP.finditer(output)]
    skips += [Skip(name, f"fails as known: {m['reason']}") for m in _PYTEST_XFAIL.finditer(output)]
    unexplained = counts.get("skipped", 0) + counts.get("xfailed", 0)
    unexplained -= sum(skip.times for skip in skips)
    if unexplained > 0:
        skips.append(Skip(name, _NO_REASON, unexplained))
    return Results(
        counts.get("passed", 0) + counts.get("xpassed", 0),
        counts.get("failed", 0) + counts.get("error", 0),
        tuple(skips),
    )


def _reason(output: str) -> str:
    """Why a test skipped itself: what follows gtest's "Skipped", or a line that says SKIPPED."""
    told = _GTEST_SKIP.search(output)
    if told:
        return " ".join(told["reason"].split()) or _NO_REASON
    lines = [line.strip("! ") for line in output.splitlines() if "SKIPPED:" in line]
    return lines[-1] if lines else _NO_REASON
