"""Running the measuring programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from clusterlib.run import run


def samples_of(command: Sequence[str], stdin: str, timeout: float) -> list[dict[str, Any]]:
    """Runs one and returns its samples, a line of JSON each."""
    done = run(command, stdin=stdin, timeout=timeout)
    return [json.loads(line) for line in done.stdout.splitlines()]
