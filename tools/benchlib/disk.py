"""One synced commit, as the journal makes one: what nobody who promises something gets below."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from pathlib import Path

_BYTES = 2048
_WARM_UP = 10
_PAUSE = 0.1
"""About what lies between two pods. A disk, and a machine, that did nothing meanwhile take twice to
three times as long as with one commit right after the other."""


def synced_commits(directory: Path, rounds: int) -> list[float]:
    """Milliseconds of each; sqlite with a write-ahead log and synchronous=FULL, on that disk."""
    took = []
    with tempfile.TemporaryDirectory(prefix="multinet-bench-", dir=directory) as place:
        database = sqlite3.connect(f"{place}/commits.db", isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE records (id INTEGER PRIMARY KEY, bytes BLOB)")
        for number in range(_WARM_UP + rounds):
            time.sleep(_PAUSE)
            begin = time.perf_counter()
            database.execute("INSERT INTO records (bytes) VALUES (?)", (b"r" * _BYTES,))
            if number >= _WARM_UP:
                took.append((time.perf_counter() - begin) * 1000)
        database.close()
    return took
