"""Which sources passed, known by the text of all that was read for them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PLACE = ROOT / "build" / "tidy"


@cache
def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


class Passed:
    """An empty file below `place` for each text that passed."""

    def __init__(self, place: Path = PLACE / "passed") -> None:
        self._place = place

    def key(self, settings: Mapping[str, str], read: Iterable[Path]) -> str:
        """Of `settings` (command, checks, version) and the text of the files that were read."""
        whole = hashlib.sha256()
        for name, value in sorted(settings.items()):
            whole.update(f"{name}\0{value}\0".encode())
        for path in sorted(set(read)):
            whole.update(str(path).encode() + b"\0" + _digest(path))
        return whole.hexdigest()

    def has(self, key: str) -> bool:
        return (self._place / key).exists()

    def add(self, key: str) -> None:
        self._place.mkdir(parents=True, exist_ok=True)
        (self._place / key).touch()
