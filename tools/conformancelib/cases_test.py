"""Logs of the suite are read as they are."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from conformancelib.cases import Case, cases_of, table  # noqa: E402

_LOG = """\
=== RUN   Conformance/CNPAdminTierGressRules/Should_support_an_'allow'
    helper.go:110: Expected connection to fail
--- FAIL: Conformance (12.29s)
    --- FAIL: Conformance/CNPAdminTierGressRules (8.01s)
        --- PASS: Conformance/CNPAdminTierGressRules/Should_support_an_'allow' (4.00s)
        --- FAIL: Conformance/CNPAdminTierGressRules/Should_support_a_'deny' (4.01s)
    --- SKIP: Conformance/CNPAdminTierEgressNodePeers (0.00s)
    --- PASS: Conformance/CNPBaselineTierPriority (2.50s)
FAIL
"""


def test_cases_have_their_steps() -> None:
    assert cases_of(_LOG.splitlines()) == [
        Case("CNPAdminTierGressRules", "FAIL", 8.01, steps=2, failed=1),
        Case("CNPAdminTierEgressNodePeers", "SKIP", 0.0),
        Case("CNPBaselineTierPriority", "PASS", 2.5),
    ]


def test_a_log_without_cases_has_none() -> None:
    assert cases_of(["panic: test timed out"]) == []


def test_the_table_has_a_line_a_case() -> None:
    lines = table(cases_of(_LOG.splitlines())).splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [
        ["CNPAdminTierGressRules", "FAIL"],
        ["CNPAdminTierEgressNodePeers", "SKIP"],
        ["CNPBaselineTierPriority", "PASS"],
    ]
