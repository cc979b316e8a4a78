"""The agent's own trace, read."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchlib.steps import REST, medians, with_rest  # noqa: E402

LOG = [
    '2026-01-01T00:00:00Z I attached pod=default/one sandbox=s1 steps="resolve 0.10 forward 99.00 attach 1.00"',
    '2026-01-01T00:00:01Z I attached pod=default/one sandbox=s2 steps="resolve 0.30 forward 98.00 attach 2.00"',
    '2026-01-01T00:00:02Z I attached pod=default/two sandbox=s3 steps="resolve 0.20 forward 97.00 attach 4.00"',
    '2026-01-01T00:00:03Z W refused pod=default/two steps="resolve 9.00"',
]


def test_medians_are_by_pod_and_without_the_runtime() -> None:
    assert medians(LOG) == {
        "one": {"resolve": 0.2, "attach": 1.5},
        "two": {"resolve": 0.2, "attach": 4.0},
    }


def test_what_no_step_holds_is_shown() -> None:
    assert with_rest({"attach": 1.5}, 2.0)[REST] == 0.5
    assert with_rest({"attach": 1.5}, 1.0)[REST] == 0.0
