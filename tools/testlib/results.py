"""What a run of ctest did, test by test, read from the JUnit file that ctest writes.

ctest counts programs. One that is pytest, or ends with a line as pytest does (tools/vm), holds many
tests; they count one by one, so that a skip inside doesn't hide behind a program that passed.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as xml
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

# What ctest says of a test that itself asked to be skipped; any other test that did not run is an
# error: its program isn't there.
_ASKED_TO_SKIP = ("SKIP_REGULAR_EXPRESSION_MATCHED", "SKIP_RETURN_CODE")
_PYTEST_TOTAL = re.compile(r"^=*\s*(?P<counts>\d+ \w+(?:, \d+ \w+)*) in [\d.]+s\b", re.MULTILINE)
_PYTEST_SKIP = re.compile(r"^SKIPPED \[(?P<times>\d+)\] (?P<reason>.*)$", re.MULTILINE)
_PYTEST_XFAIL = re.compile(r"^XFAIL (?P<reason>.*)$", re.MULTILINE)
_GTEST_SKIP = re.compile(r": Skipped\n(?P<reason>.*?)\n*^\[  SKIPPED \]", re.MULTILINE | re.DOTALL)
_PYTEST_FAILED = re.compile(r"^(?:FAILED|ERROR) (?P<test>\S+)", re.MULTILINE)
_PYTEST_SECTION = re.compile(r"^_{3,} (?P<title>.+?) _{3,}$", re.MULTILINE)
_PYTEST_ERROR = re.compile(
    r"^(?:E {3}.*|\S+:\d+: \w*(?:Error|Exception|Failed)\b.*)$", re.MULTILINE
)
_GTEST_FAILURE = re.compile(r"^\S+:\d+: Failure\n(?:.+\n)+", re.MULTILINE)
_NO_REASON = "no reason given"
_REASON_LINES = 12


@dataclass(frozen=True)
class Skip:
    """Tests of one program that did not run, and why."""

    test: str
    reason: str
    times: int = 1


@dataclass(frozen=True)
class Failure:
    """A test that failed, and the lines of its output that say why."""

    test: str
    reason: str


@dataclass(frozen=True)
class Results:
    passed: int = 0
    failed: int = 0
    skips: tuple[Skip, ...] = ()
    failures: tuple[Failure, ...] = field(default=(), compare=False)

    @property
    def skipped(self) -> int:
        return sum(skip.times for skip in self.skips)

    def __add__(self, other: Results) -> Results:
        return Results(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skips + other.skips,
            self.failures + other.failures,
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
    if inner is not None and inner.failed:
        return inner
    one = Results(failed=1, failures=(Failure(name, _failed_for(output)),))
    return one if inner is None else inner + one


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
        tuple(_pytest_failures(name, output)),
    )


def _pytest_failures(name: str, output: str) -> Iterator[Failure]:
    """Those of pytest's own list, each with what its section says of it."""
    parts = _PYTEST_SECTION.split(output)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    for listed in _PYTEST_FAILED.finditer(output):
        function = listed["test"].rpartition("::")[2]
        of_it = (text for title, text in sections.items() if title.split()[-1] == function)
        lines = [line for text in of_it for line in _PYTEST_ERROR.findall(text)]
        yield Failure(f"{name} {listed['test']}", "\n".join(lines[:_REASON_LINES]))


def _failed_for(output: str) -> str:
    """What gtest says of each expectation, else the end of what was printed."""
    told = "".join(_GTEST_FAILURE.findall(output)).splitlines()
    return "\n".join(told[:_REASON_LINES] or output.splitlines()[-_REASON_LINES:])


def _reason(output: str) -> str:
    """Why a test skipped itself: what follows gtest's "Skipped", or a line that says SKIPPED."""
    told = _GTEST_SKIP.search(output)
    if told:
        return " ".join(told["reason"].split()) or _NO_REASON
    lines = [line.strip("! ") for line in output.splitlines() if "SKIPPED:" in line]
    return lines[-1] if lines else _NO_REASON
