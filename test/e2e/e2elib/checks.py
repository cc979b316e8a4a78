"""The checker, as tests call it after a fault."""

from __future__ import annotations

import json

from e2elib.cluster import REPOSITORY, Cluster, run_try
from e2elib.waiting import wait_until

# Numbers in a status are told once a minute; 15 s is what a busy machine adds.
COUNTED_WITHIN = 75


def findings(cluster: Cluster, *options: str) -> list[str]:
    """What the checker finds, as `rule: text`."""
    program = str(REPOSITORY / "tools" / "check-cluster")
    code, out, err = run_try([program, "--name", cluster.name, "-o", "json", *options])
    if code not in (0, 1):
        raise RuntimeError(f"run the checker: exit code {code}: {err.strip()}")
    return [f"{entry['rule']}: {entry['text']}" for entry in json.loads(out)["findings"]]


def assert_clean(cluster: Cluster, timeout: float = 15, history: bool = True) -> None:
    """Waits until the checker finds nothing; what is under way needs a moment to end. The history of
    the store is read once, since that takes longer the more was written."""

    def clean(*options: str) -> bool:
        found = findings(cluster, *options)
        assert not found, "\n".join(found)
        return True

    wait_until(lambda: clean("--no-history"), timeout, "the checker to find nothing", 1)
    if history:
        wait_until(clean, timeout, "the checker to find nothing in what was written", 1)
