"""The command line of tools/vm."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from clusterlib.errors import EXIT_FAILED, ClusterError, told
from clusterlib.progress import Progress
from vmlib import gtest, initramfs, kernel, machine

EXIT_TERMINATED = 143
_TEST_SECONDS = 60
_RUN_SECONDS = 600
_WELCOME = """
Linux {release}; Ctrl-A X ends the machine, `exit` too.
{programs}Programs of tests are in /programs, what was packed with --with is on the PATH.
"""


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools/vm", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)

    def verb(name: str, explained: str, programs: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=explained, description=explained)
        added.add_argument("programs", nargs=programs, metavar="PROGRAM")
        added.add_argument(
            "--kernel",
            default=kernel.DEFAULT,
            choices=kernel.PACKAGES,
            help=f"one of Debian 12's (default: {kernel.DEFAULT})",
        )
        added.add_argument(
            "--module",
            action="append",
            default=[],
            help="loaded before all else; what a request for a link or a rule needs loads by itself",
        )
        added.add_argument(
            "--with",
            dest="tools",
            action="append",
            default=[],
            metavar="TOOL",
            help="a program of this machine to take along, such as ip or nft",
        )
        return added

    run = verb("run", "Runs GoogleTest binaries, each test in namespaces of its own.", "+")
    run.add_argument("--filter", default="*", help="tests, as --gtest_filter takes them")
    run.add_argument("--at-once", type=int, default=os.cpu_count() or 2, metavar="N")
    run.add_argument("--test-seconds", type=int, default=_TEST_SECONDS, help="limit of one test")
    run.add_argument("--seconds", type=int, default=_RUN_SECONDS, help="limit of all of them")
    run.add_argument(
        "--verbose", action="store_true", help="show the output of tests that pass too"
    )
    run.add_argument(
        "--keep", type=Path, metavar="DIR", help="where console and results shall stay"
    )
    verb("shell", "Gives a shell in the machine.", "*")
    return parser


def main() -> int:
    options = _options().parse_args()
    # So that what lies in the scratch directory goes too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    try:
        machine.check()
        with tempfile.TemporaryDirectory(prefix="multinet-vm-") as scratch:
            verb = _run if options.verb == "run" else _shell
            return verb(options, Path(scratch))
    except ClusterError as error:
        print(f"tools/vm: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"tools/vm: {told(error)}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 130


def _prepare(
    options: argparse.Namespace, scratch: Path, job: dict[str, str]
) -> tuple[machine.Machine, float]:
    begin = time.monotonic()
    programs = [initramfs.find_program(name) for name in options.programs]
    tools = [initramfs.find_program(name) for name in options.tools]
    booted = kernel.get(options.kernel, Progress())
    job["emulated"] = "1" if machine.emulated() else ""
    job["modules"] = "".join(f"{module}\n" for module in options.module)
    if "shell" in job:
        listed = "".join(f"  /programs/{program.name}\n" for program in programs)
        job["shell"] = _WELCOME.format(release=booted.release, programs=listed)
    archive = scratch / "initramfs"
    initramfs.write(archive, booted, programs, job, tools)
    made = machine.Machine(booted, archive, scratch / "console", scratch / "results")
    return made, time.monotonic() - begin


def _shell(options: argparse.Namespace, scratch: Path) -> int:
    if not sys.stdin.isatty():
        raise ClusterError("start a shell: standard input isn't a terminal")
    return _prepare(options, scratch, {"shell": ""})[0].interactive()


def _run(options: argparse.Namespace, scratch: Path) -> int:
    begin = time.monotonic()
    programs = [initramfs.find_program(name) for name in options.programs]
    every = gtest.wanted(programs, options.filter)
    tests = [test for test in every if not test.disabled]
    job = {
        "tests": "".join(
            f"{number} {test.program.name} {test.name}\n" for number, test in enumerate(tests)
        ),
        "at-once": str(options.at_once),
        "seconds": str(options.test_seconds),
    }
    made, packed = _prepare(options, scratch, job)
    fault = None
    try:
        try:
            made.run(options.seconds)
        except machine.Stuck as error:
            print(f"tools/vm: once more, since {error}", flush=True)
            made.run(options.seconds)
    except ClusterError as error:
        fault = error
    outcomes = gtest.read_results(made.results, tests, options.test_seconds)
    outcomes += [gtest.Outcome(test, "skipped", "disabled") for test in every if test.disabled]
    there = {outcome.test for outcome in outcomes}
    lost = [_lost(test, made) for test in tests if test not in there]
    if options.keep:
        _keep(made, outcomes, options.keep)
    _report([*outcomes, *lost], options.verbose)
    if fault:
        print(f"tools/vm: {fault}")
    if splat := made.splat():
        print(f"tools/vm: the kernel complained: {splat}; {made.tail()}")
    print(f"Linux {made.kernel.release}, packed in {packed:.1f} s")
    print(gtest.total([*outcomes, *lost], time.monotonic() - begin), flush=True)
    failed = any(outcome.verdict == "failed" for outcome in [*outcomes, *lost])
    return EXIT_FAILED if failed or fault or splat else 0


def _lost(test: gtest.Case, made: machine.Machine) -> gtest.Outcome:
    started = f"vm: {test.program.name} {test.name}\n" in made.said()
    why = "it ran when the machine ended" if started else "the machine ended before it"
    return gtest.Outcome(test, "failed", why)


def _report(outcomes: list[gtest.Outcome], verbose: bool) -> None:
    """Output of what failed, then a line for each test that did not pass, as pytest has them."""
    for outcome in outcomes:
        if verbose or outcome.verdict == "failed":
            print(f"--- {outcome.test}: {outcome.verdict} after {outcome.seconds:.2f} s")
            print(outcome.output.rstrip())
    for outcome in outcomes:
        if outcome.verdict == "failed":
            print(f"FAILED {outcome.test}: {outcome.why}")
        elif outcome.verdict == "skipped":
            print(f"SKIPPED [1] {outcome.test}: {outcome.why}")


def _keep(made: machine.Machine, outcomes: list[gtest.Outcome], target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(made.console, target / "console")
    for outcome in outcomes:
        (target / f"{outcome.test}".replace("/", "_")).write_text(outcome.output)
