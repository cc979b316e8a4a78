"""The checker, as tests call it after a fault."""

from __future__ import annotations

import json

from e2elib.cluster import REPOSITORY, Cluster, run_try
from e2elib.waiting import wait_until

# Numbers in a status are told once a minute; 15 s is what a busy machine adds.
COUNTED_WITHIN = 75


def findings(cluster: Cluster) -> list[str]:
    """What the checker finds now, as `rule: text`."""
    program = str(REPOSITORY / "tools" / "check-cluster")
    code, out, err = run_try([program, "--name", cluster.name, "-o", "json"])
    if code not in (0, 1):
        raise RuntimeError(f"run the checker: exit code {code}: {err.strip()}")
    return [f"{entry['rule']}: {entry['text']}" for entry in json.loads(out)["findings"]]


def assert_clean(cluster: Cluster, timeout: float = 15) -> None:
    """Waits until the checker finds nothing; what is under way needs a moment to end."""

    def clean() -> bool:
        found = findings(cluster)
        assert not found, "\n".join(found)
        return True

    wait_until(clean, timeout, "the checker to find nothing", 1)
