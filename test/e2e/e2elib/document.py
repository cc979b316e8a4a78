"""What a document of docs/ tells a reader to type, taken from the document itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HEADING = re.compile(r"#{1,4} +(.*)")
_FENCE = re.compile(r"\s*```(\w*)$")
_INDENT = re.compile(r" {4,}(?=\S)")
_COMMENT = re.compile(r"\s+#\s.*$")


@dataclass(frozen=True)
class Block:
    """A block of code: the heading above it, `yaml` or such where the fence names it, its lines."""

    heading: str
    language: str
    lines: tuple[str, ...]

    def commands(self) -> list[str]:
        """What to type, one command each, without what is said about it. Loops stay in one piece."""
        text = "\n".join(_COMMENT.sub("", line) for line in self.lines)
        text = re.sub(r"\\\n\s*", "", text)
        commands: list[str] = []
        open_loops = 0
        for line in text.splitlines():
            if open_loops:
                commands[-1] += f"\n{line}"
            else:
                commands.append(line)
            words = re.split(r"[\s;]+", line)
            open_loops += words.count("do") - words.count("done")
        return commands


def blocks(document: Path) -> list[Block]:
    """Every block of code, indented or fenced, in order."""
    return list(_blocks(document.read_text().splitlines()))


def _blocks(lines: list[str]) -> Iterator[Block]:
    heading, previous, language = "", "", ""
    held: list[str] = []
    for line in [*lines, "# end"]:
        fence = _FENCE.match(line)
        if language:
            if fence:
                yield Block(heading, language, tuple(held))
                language, held = "", []
            else:
                held.append(line)
            continue
        indent = _INDENT.match(line)
        if indent and (held or _begins(previous)):
            held.append(line)
        elif held and line.strip():
            yield Block(heading, "", _dedented(held))
            held = []
        if fence:
            language = fence.group(1) or "text"
        elif found := _HEADING.match(line):
            heading = found.group(1).strip()
        previous = line


def _begins(previous: str) -> bool:
    """A block stands behind an empty line; else it is a paragraph's or an item's next line."""
    return not previous.strip()


def _dedented(lines: list[str]) -> tuple[str, ...]:
    least = min(len(line) - len(line.lstrip()) for line in lines)
    return tuple(line[least:].rstrip() for line in lines)
