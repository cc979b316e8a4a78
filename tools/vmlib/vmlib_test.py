"""Parts of tools/vm, without a machine. Run: python3 -m pytest tools/vmlib."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from clusterlib.errors import ClusterError  # noqa: E402
from testlib.results import read  # noqa: E402
from vmlib import gtest, initramfs, kernel, machine  # noqa: E402
from vmlib.gtest import Case, Outcome  # noqa: E402

LISTED = """Running main() from gtest_main.cc
Driver.
  Makes
  DISABLED_Later
Sizes/Way.
  Fits/0  # GetParam() = 4
"""
REPORT = '<testsuites><testsuite><testcase name="a">{}</testcase></testsuite></testsuites>'
SKIPPED = '<skipped message="/src/a.cc:7&#10;no KVM&#10;here"/>'
PROGRAM = Path("/build/a_test")


def cases(*names: str) -> list[Case]:
    return [Case(PROGRAM, name) for name in names]


def sent(*parts: dict[str, str]) -> bytes:
    """Archives in a row, as the machine sends them."""
    stream = b""
    for files in parts:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name, text in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(text)
                tar.addfile(member, io.BytesIO(text.encode()))
        stream += buffer.getvalue()
    return stream


def outcome(number: int, code: int, report: str = "", took: str = "1.0 2.5") -> dict[str, str]:
    files = {f"{number}/exit": f"{code} {took}\n", f"{number}/output": "said"}
    return files | ({f"{number}/report.xml": report} if report else {})


def outcomes(tmp_path: Path, stream: bytes, *names: str) -> list[Outcome]:
    (tmp_path / "results").write_bytes(stream)
    return gtest.read_results(tmp_path / "results", cases(*names), 60)


def test_lists_tests_as_a_filter_takes_them() -> None:
    listed = gtest.parse_list(PROGRAM, LISTED)
    assert [test.name for test in listed] == [
        "Driver.Makes",
        "Driver.DISABLED_Later",
        "Sizes/Way.Fits/0",
    ]
    assert [test.disabled for test in listed] == [False, True, False]


@pytest.mark.parametrize(
    ("code", "report", "took", "verdict", "why"),
    [
        (0, REPORT.format(""), "1.0 2.5", "passed", ""),
        (0, REPORT.format(SKIPPED), "1.0 2.5", "skipped", "no KVM here"),
        (1, REPORT.format("<failure/>"), "1.0 2.5", "failed", "exit code 1"),
        (0, "", "1.0 2.5", "failed", "left with 0 before its test had ended"),
        (0, "<testsuites><tests", "1.0 2.5", "failed", "left with 0 before its test had ended"),
        (139, "", "1.0 2.5", "failed", "ended by SIGSEGV"),
        (137, "", "1.0 2.5", "failed", "ended by SIGKILL"),
        (137, "", "1.0 61.1", "failed", "not done after 60 s"),
    ],
)
def test_judges_a_test(
    tmp_path: Path, code: int, report: str, took: str, verdict: str, why: str
) -> None:
    stream = sent(outcome(0, code, report, took), {"ended": ""})
    (judged,) = outcomes(tmp_path, stream, "A.b")
    assert (judged.verdict, judged.why, judged.output) == (verdict, why, "said")


@pytest.mark.parametrize("cut", [0, 100, 600, 2000])
def test_a_machine_that_fell_silent_lost_no_earlier_result(tmp_path: Path, cut: int) -> None:
    whole = sent(outcome(1, 0, REPORT.format("")))
    stream = whole + sent(outcome(0, 0, REPORT.format("")))[:cut]
    judged = outcomes(tmp_path, stream, "A.a", "A.b")
    assert Case(PROGRAM, "A.b") in [one.test for one in judged]


def test_the_last_line_is_counted_by_the_sum_of_all_tests(tmp_path: Path) -> None:
    told = gtest.total([Outcome(test, "passed") for test in cases("A.a", "A.b")], 61.2)
    (tmp_path / "junit.xml").write_text(
        '<testsuite><testcase name="vm.a" status="run"><system-out>SKIPPED [1] a: why\n'
        f"{told.replace('0 skipped', '1 skipped')}\n</system-out></testcase></testsuite>"
    )
    counted = read(tmp_path / "junit.xml", 0)
    assert (counted.passed, counted.failed, counted.skipped) == (2, 0, 1)


def test_refuses_what_it_cannot_run() -> None:
    with pytest.raises(ClusterError, match="isn't of GoogleTest"):
        gtest.wanted([Path("/bin/false")], "*")
    with pytest.raises(ClusterError, match="no such program"):
        initramfs.find_program("build/nothing")
    with pytest.raises(ClusterError, match="named twice"):
        gtest.wanted([PROGRAM, PROGRAM], "*")


def test_writes_an_archive_that_others_read(tmp_path: Path) -> None:
    (tmp_path / "odd").write_bytes(b"123")
    (tmp_path / "odd").chmod(0o755)
    with open(tmp_path / "archive", "wb") as archive:
        initramfs.write_cpio(archive, {"/a/b/odd": tmp_path / "odd", "/job/x": b"text"})
    with open(tmp_path / "archive", "rb") as archive:
        subprocess.run(
            ["busybox", "cpio", "-i", "-d"], cwd=tmp_path, stdin=archive, check=True, timeout=10
        )
    assert (tmp_path / "a" / "b" / "odd").read_bytes() == b"123"
    assert (tmp_path / "a" / "b" / "odd").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "job" / "x").read_text() == "text"


def test_finds_the_package_with_the_image() -> None:
    shown = "Package: linux-image-cloud-amd64\nDepends: linux-image-6.1.0-9-cloud-amd64 (= 6.1.9)\n"
    assert kernel.newest_package(shown) == "linux-image-6.1.0-9-cloud-amd64"
    assert kernel.newest_package("") == ""


# A stand-in for qemu: it writes what a machine would on its console.
STAND_IN = """#!/bin/sh
for word in "$@"; do case $word in file:*console) console=${{word#file:}};; esac; done
{body}
"""
UP = "echo 'vm: up' >$console; "


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (UP + "echo 'vm: done' >>$console", None),
        ("echo no such machine; exit 1", "ended before it was up: no such machine"),
        ("exit 1", "ended before it was up: exit code 1"),
        ("sleep 30", "hasn't booted after .*\n    \\(nothing\\)"),
        (
            UP + "echo 'vm: a_test A.b' >>$console; sleep 30",
            "hasn't ended after (?s:.*)\n    vm: a_test A.b",
        ),
        (UP + "exit 0", "ended before its tests had"),
        (
            UP + "echo '[ 1.0] Kernel panic - not syncing: Fatal exception' >>$console",
            "kernel panic in the virtual machine: Fatal exception",
        ),
    ],
)
def test_says_how_a_machine_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, complaint: str | None
) -> None:
    stand_in = tmp_path / "qemu"
    stand_in.write_text(STAND_IN.format(body=body))
    stand_in.chmod(0o755)
    monkeypatch.setattr(machine, "QEMU", str(stand_in))
    monkeypatch.setattr(machine, "BOOT_SECONDS", 0.3)
    booted = kernel.Kernel("6.1", tmp_path / "vmlinuz", tmp_path)
    made = machine.Machine(booted, tmp_path / "i", tmp_path / "console", tmp_path / "results")
    if complaint is None:
        made.run(5)
        return
    with pytest.raises(ClusterError, match=complaint):
        made.run(0.5)


def test_sees_what_the_kernel_complained_of(tmp_path: Path) -> None:
    console = tmp_path / "console"
    booted = kernel.Kernel("6.1", tmp_path, tmp_path)
    made = machine.Machine(booted, tmp_path, console, tmp_path)
    console.write_text("vm: up\nvm: a_test Probes.WARNING\n[    1.5] device eth0 left\n")
    assert made.splat() == ""
    console.write_text("[    1.5] WARNING: CPU: 0 PID: 9 at net/core/dev.c:1 f+0x1/0x2\n")
    assert made.splat().startswith("WARNING: CPU: 0")


def test_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "QEMU", "qemu-of-nobody")
    with pytest.raises(ClusterError, match="qemu-of-nobody not installed; run tools/install-deps"):
        machine.check()
    monkeypatch.setattr("platform.machine", lambda: "s390x")
    with pytest.raises(ClusterError, match="SKIPPED: .* this is s390x") as refused:
        machine.check()
    assert refused.value.exit_code == machine.EXIT_SKIPPED
