"""Tests of GoogleTest programs: which there are, and what became of each in the virtual machine."""

from __future__ import annotations

import signal
import subprocess
import tarfile
import xml.etree.ElementTree as xml
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from clusterlib.errors import EXIT_UNUSABLE, ClusterError

_LIST_SECONDS = 60
_KILLED_BY = 128
"""What a shell adds to the number of the signal that ended a program."""


@dataclass(frozen=True)
class Case:
    program: Path
    name: str  # as --gtest_filter takes it

    def __str__(self) -> str:
        return f"{self.program.name}.{self.name}"

    @property
    def disabled(self) -> bool:
        return "DISABLED_" in self.name


@dataclass(frozen=True)
class Outcome:
    """What became of a test. `why` explains a skip or a failure in a line."""

    test: Case
    verdict: str  # "passed", "failed" or "skipped"
    why: str = ""
    output: str = field(default="", repr=False)
    seconds: float = 0.0


def parse_list(program: Path, listed: str) -> list[Case]:
    """The tests that `--gtest_list_tests` printed: suites, and below each its tests, indented."""
    tests, suite = [], ""
    for line in listed.splitlines():
        name = line.split("#")[0].strip()  # what follows is a parameter's value
        if line.startswith("  ") and suite and name:
            tests.append(Case(program, suite + name))
        elif name.endswith("."):
            suite = name
    return tests


def list_tests(program: Path, pattern: str) -> list[Case]:
    """Asks the program itself, on this machine."""
    argv = [str(program), "--gtest_list_tests", f"--gtest_filter={pattern}"]
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=_LIST_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ClusterError(f"list tests of {program}: {error}", EXIT_UNUSABLE) from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-500:]
        raise ClusterError(
            f"list tests of {program}: it isn't of GoogleTest: {said}", EXIT_UNUSABLE
        )
    return parse_list(program, done.stdout)


def read_results(archive: Path, tests: list[Case], limit: int) -> list[Outcome]:
    """What the machine sent, as far as it got. Test n of the list has the number n."""
    files: dict[str, dict[str, bytes]] = {}
    for name, data in _members(archive):
        number, _, file = name.strip("./").partition("/")
        files.setdefault(number, {})[file] = data
    return [
        _outcome(test, files[str(number)], limit)
        for number, test in enumerate(tests)
        if "exit" in files.get(str(number), {})
    ]


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Files of several archives in a row, up to where the machine fell silent."""
    try:
        with tarfile.open(archive, "r|", ignore_zeros=True) as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isfile() else None
                yield member.name, content.read() if content else b""
    except (tarfile.TarError, OSError, EOFError):
        return


def _outcome(test: Case, files: dict[str, bytes], limit: int) -> Outcome:
    code, begin, end = files["exit"].decode().split()
    output = files.get("output", b"").decode(errors="replace")
    seconds = float(end) - float(begin)
    verdict, why = _judge(int(code), seconds, limit, files.get("report.xml", b""))
    return Outcome(test, verdict, why, output, seconds)


def _judge(code: int, seconds: float, limit: int, report: bytes) -> tuple[str, str]:
    if code == _KILLED_BY + signal.SIGKILL and seconds >= limit:
        return "failed", f"not done after {limit} s"
    if code > _KILLED_BY:
        try:
            name = signal.Signals(code - _KILLED_BY).name
        except ValueError:
            name = f"signal {code - _KILLED_BY}"
        return "failed", f"ended by {name}"
    try:
        cases = list(xml.fromstring(report).iter("testcase")) if report else []
    except xml.ParseError:
        cases = []
    skipped = [skip for case in cases for skip in case.iter("skipped")]
    if code != 0:
        return "failed", f"exit code {code}"
    if not cases:
        return "failed", "left with 0 before its test had ended"
    if skipped:
        return "skipped", " ".join(_message(skipped[0]).split()) or "no reason given"
    return "passed", ""


def _message(skip: xml.Element) -> str:
    """Without the place in the source, which comes first."""
    message = skip.get("message") or skip.text or ""
    return message.partition("\n")[2] or message


def total(outcomes: Iterable[Outcome], seconds: float) -> str:
    """The line that pytest ends with, which tools/test reads."""
    verdicts = [outcome.verdict for outcome in outcomes]
    counts = ", ".join(f"{verdicts.count(kind)} {kind}" for kind in ("passed", "failed", "skipped"))
    return f"{counts} in {seconds:.2f}s"


def wanted(programs: Iterable[Path], pattern: str) -> list[Case]:
    """Raises ClusterError when there is nothing to run, or two programs of one name."""
    programs = list(programs)
    names = [program.name for program in programs]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ClusterError(f"run {', '.join(twice)}: named twice", EXIT_UNUSABLE)
    tests = [test for program in programs for test in list_tests(program, pattern)]
    if not tests:
        raise ClusterError(
            f"run {', '.join(names)}: no test fits --filter {pattern!r}", EXIT_UNUSABLE
        )
    return tests
