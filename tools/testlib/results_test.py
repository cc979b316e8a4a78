"""Counting tests right. Run: python3 -m pytest tools/testlib."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from testlib.results import Failure, Results, Skip, read  # noqa: E402

GTEST_SKIP = """[ RUN      ] Driver.Ipvlan
/src/driver_netns_test.cc:12: Skipped
this kernel
lacks ipvlan

[  SKIPPED ] Driver.Ipvlan (0 ms)
[==========] 1 test from 1 test suite ran. (0 ms total)
[  SKIPPED ] 1 test, listed below:
[  SKIPPED ] Driver.Ipvlan
"""


def case(name: str, status: str, output: str = "", skipped: str = "") -> str:
    told = f"<skipped message={quoteattr(skipped)}/>" if skipped else ""
    return (
        f"<testcase name={quoteattr(name)} status={quoteattr(status)}>{told}"
        f"<system-out>{escape(output)}</system-out></testcase>"
    )


def results(tmp_path: Path, *cases: str, exit_code: int = 0) -> Results:
    path = tmp_path / "junit.xml"
    path.write_text(f"<testsuite>{''.join(cases)}</testsuite>")
    return read(path, exit_code)


def test_counts_each_program(tmp_path: Path) -> None:
    counted = results(
        tmp_path, case("a", "run"), case("b", "run", "[  SKIPPED ] 0"), case("c", "fail")
    )
    assert counted == Results(passed=2, failed=1)


def test_a_skip_tells_its_reason(tmp_path: Path) -> None:
    counted = results(
        tmp_path,
        case("gtest", "notrun", GTEST_SKIP, "SKIP_REGULAR_EXPRESSION_MATCHED"),
        case("code", "notrun", "!!! SKIPPED: needs root !!!", "SKIP_RETURN_CODE=77"),
        case("mute", "notrun", "", "SKIP_RETURN_CODE=77"),
        case("off", "disabled"),
    )
    assert counted.skips == (
        Skip("gtest", "this kernel lacks ipvlan"),
        Skip("code", "SKIPPED: needs root"),
        Skip("mute", "no reason given"),
        Skip("off", "disabled in CMake"),
    )
    assert (counted.passed, counted.failed, counted.skipped) == (0, 0, 4)


def test_a_missing_program_is_a_failure(tmp_path: Path) -> None:
    missing = case("a_NOT_BUILT", "notrun", "", "Unable to find executable")
    assert results(tmp_path, missing) == Results(failed=1)


@pytest.mark.parametrize(
    ("status", "total", "expected"),
    [
        ("run", "===== 12 passed in 3.21s =====", Results(passed=12)),
        ("run", "12 passed in 93.21s (0:01:33)", Results(passed=12)),
        ("fail", "== 2 failed, 3 passed, 1 warning, 1 error in 0.02s ==", Results(3, 3)),
        ("fail", "=== 1 failed, 2 errors in 61.00s (0:01:01) ===", Results(0, 3)),
        ("fail", "3 passed in 0.02s\nand then its fixture broke", Results(3, 1)),
        ("fail", "collected 5 items\n../test_a.py ..", Results(0, 1)),
        ("fail", "no tests ran in 0.01s", Results(0, 1)),
    ],
)  # fmt: skip
def test_counts_what_pytest_counted(
    tmp_path: Path, status: str, total: str, expected: Results
) -> None:
    assert results(tmp_path, case("e2e", status, f"collected\n{total}\n")) == expected


def test_a_skip_inside_pytest_is_seen(tmp_path: Path) -> None:
    output = (
        "SKIPPED [2] test_a.py:3: no KVM\nXFAIL test_a.py::test_c\n"
        "=== 1 passed, 3 skipped, 1 xfailed in 0.02s ===\n"
    )
    counted = results(tmp_path, case("e2e", "run", output))
    assert counted.passed == 1
    assert counted.skips == (
        Skip("e2e", "test_a.py:3: no KVM", 2),
        Skip("e2e", "fails as known: test_a.py::test_c"),
        Skip("e2e", "no reason given"),
    )


def test_a_failure_tells_its_lines(tmp_path: Path) -> None:
    e2e = (
        "____ test_a ____\nE   assert 1 == 2\na.py:3: AssertionError\n"
        "____ ERROR at teardown of test_b ____\nE   RuntimeError: left\n"
        "=== short test summary info ===\nFAILED test_x.py::test_a - assert\n"
        "ERROR test_x.py::test_b - Runtime\n=== 1 failed, 1 passed, 1 error in 0.02s ===\n"
    )
    gtest = "noise\n../a_test.cc:7: Failure\nExpected: 1\n  actual: 2\n\nmore noise\n"
    counted = results(
        tmp_path,
        case("e2e.x", "fail", e2e),
        case("A.b", "fail", gtest),
        case("sh", "fail", "why\n"),
    )
    assert counted == Results(passed=1, failed=4)
    assert counted.failures == (
        Failure("e2e.x test_x.py::test_a", "E   assert 1 == 2\na.py:3: AssertionError"),
        Failure("e2e.x test_x.py::test_b", "E   RuntimeError: left"),
        Failure("A.b", "../a_test.cc:7: Failure\nExpected: 1\n  actual: 2"),
        Failure("sh", "why"),
    )


def test_a_run_that_failed_has_a_failure(tmp_path: Path) -> None:
    assert results(tmp_path, case("a", "run"), exit_code=8) == Results(1, 1)
    assert results(tmp_path, case("a", "fail"), exit_code=8) == Results(0, 1)
    assert results(tmp_path) == Results(failed=1), "a label without tests"
    assert read(tmp_path / "absent.xml", 0) == Results(failed=1)
    (tmp_path / "cut.xml").write_text("<testsuite><testcase")
    assert read(tmp_path / "cut.xml", 0) == Results(failed=1)


def test_reads_what_this_ctest_writes(tmp_path: Path) -> None:
    (tmp_path / "inner_test.py").write_text(
        "import pytest\n"
        "def test_a(): pass\n"
        "def test_b(): pytest.skip('no fuel')\n"
        "def test_c(): assert False\n"
    )
    (tmp_path / "CTestTestfile.cmake").write_text(
        'add_test(passes "true")\n'
        'add_test(fails "false")\n'
        'add_test(skips "sh" "-c" "printf \'a.cc:1: Skipped\\nno fuel\\n\\n[  SKIPPED ] A.b\\n\'")\n'
        'set_tests_properties(skips PROPERTIES SKIP_REGULAR_EXPRESSION "\\\\[  SKIPPED \\\\]")\n'
        'add_test(absent "nothing-of-this-name")\n'
        f'add_test(many "{sys.executable}" "-m" "pytest" "-ra" "-p" "no:cacheprovider"'
        f' "{tmp_path}/inner_test.py")\n'
    )
    ran = subprocess.run(
        ["ctest", "--test-dir", tmp_path, "--output-junit", tmp_path / "junit.xml"],
        check=False,
        capture_output=True,
        timeout=60,
    )
    counted = read(tmp_path / "junit.xml", ran.returncode)
    assert (counted.passed, counted.failed, counted.skipped) == (2, 3, 2)
    assert Skip("skips", "no fuel") in counted.skips
    assert any(
        failure.test.endswith("::test_c") and "assert False" in failure.reason
        for failure in counted.failures
    ), counted.failures
    assert any("no fuel" in skip.reason for skip in counted.skips if skip.test == "many")
