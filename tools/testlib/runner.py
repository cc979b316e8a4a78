"""Builds trees and runs labels of them, and says how it is going meanwhile."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from testlib.plan import JOBS, TARGETS, Run
from testlib.results import Results, read

ROOT = Path(__file__).resolve().parent.parent.parent
_START = time.monotonic()
_PROGRESS_SECONDS = 15.0
_STARTED = re.compile(r"^\s*Start\s+\d+: ")
_ENDED = re.compile(r"^\s*(?P<done>\d+/\d+) Test\s+#\d+: ")
_LARGEST_OUTPUT = "8000000"
_LOWEST = 'echo 19 2>/dev/null >/proc/self/autogroup; exec nice -n 19 "$@"'


def say(text: str) -> None:
    minutes, seconds = divmod(int(time.monotonic() - _START), 60)
    print(f"[{minutes:02}:{seconds:02}] {text}", flush=True)


def _succeeds(*command: str, beside: bool = False) -> bool:
    with _started(command, beside) as process:
        return _ended(process, beside) == 0


def _started(command: Sequence[str], beside: bool, **options: Any) -> subprocess.Popen[str]:
    """`beside`: in a session of its own, since priorities are those of sessions where the kernel
    groups by them (sched(7), autogroup)."""
    if beside:
        command = ["sh", "-c", _LOWEST, "sh", *command]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, start_new_session=beside, text=True, **options
    )


def _ended(process: subprocess.Popen[str], beside: bool) -> int:
    try:
        return process.wait()
    except BaseException:
        if beside:  # the terminal's signals don't reach its session
            os.killpg(process.pid, signal.SIGTERM)
        raise


def build(tree: str, beside: bool = False) -> bool:
    """Configures a tree and builds what its runs need."""
    say(f"building tree {tree}")
    configure = ("cmake", "--preset", tree, "--log-level=WARNING")
    make = ("cmake", "--build", f"build/{tree}", "-j", str(JOBS), "--target", *TARGETS[tree])
    return _succeeds(*configure, beside=beside) and _succeeds(*make, beside=beside)


def build_cluster_parts() -> bool:
    say("building the parts of the test cluster")
    return _succeeds("tools/cluster", "build")


def test(run: Run, beside: bool = False) -> Results:
    """Runs a label; what its programs print is shown where one failed, and always for a cluster."""
    say(f"testing {run.name}")
    junit = ROOT / "build" / run.tree / "results" / f"{run.label}.xml"
    junit.unlink(missing_ok=True)
    junit.parent.mkdir(parents=True, exist_ok=True)
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "errors": "replace"}
    with _started(_command(run, junit), beside, **options) as process:
        assert process.stdout
        _show(process.stdout, run)
        return read(junit, _ended(process, beside))


def _command(run: Run, junit: Path) -> Sequence[str]:
    return [
        *("ctest", "--test-dir", f"build/{run.tree}", "-L", f"^{run.label}$", "-j", str(run.jobs)),
        *(("-R", run.only) if run.only else ()),
        *("--output-junit", str(junit), "--no-tests=error"),
        "--verbose" if run.mostly_waits else "--output-on-failure",
        *("--test-output-size-passed", _LARGEST_OUTPUT),
        *("--test-output-size-failed", _LARGEST_OUTPUT),
    ]


def _show(lines: Iterable[str], run: Run) -> None:
    """Prints what ctest prints, but sums up what went well: hundreds of lines that say the same."""
    said = time.monotonic()
    for line in lines:
        ended = _ENDED.match(line)
        if ended and " Passed " in line and not run.mostly_waits:
            if time.monotonic() - said > _PROGRESS_SECONDS:
                said = time.monotonic()
                say(f"{run.name}: {ended['done']} tests ran")
        elif not _STARTED.match(line):
            print(line, end="", flush=True)
