"""Which sources passed, known by the text of all that was read for them."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from clusterlib.layout import REPOSITORY as ROOT
from clusterlib.layout import cache_root

PLACE = cache_root() / "tidy"
_KEPT_SECONDS = 30 * 24 * 3600


@cache
def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


class Passed:
    """An empty file below `place` for each text that passed, until nobody asked for it in a month."""

    def __init__(self, place: Path = PLACE / "passed") -> None:
        self._place = place
        self._place.mkdir(parents=True, exist_ok=True)
        oldest = time.time() - _KEPT_SECONDS
        for path in self._place.iterdir():
            if path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)

    def key(self, settings: Mapping[str, str], read: Iterable[Path]) -> str:
        """Of `settings` (command, checks, version) and the text of the files that were read, wherever
        the checkout is."""
        whole = hashlib.sha256()
        for name, value in sorted(settings.items()):
            whole.update(f"{name}\0{value.replace(str(ROOT), '.')}\0".encode())
        for path in sorted(set(read)):
            whole.update(os.path.relpath(path, ROOT).encode() + b"\0" + _digest(path))
        return whole.hexdigest()

    def has(self, key: str) -> bool:
        try:
            os.utime(self._place / key)
        except FileNotFoundError:
            return False
        return True

    def add(self, key: str) -> None:
        (self._place / key).touch()
