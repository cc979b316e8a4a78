"""Commands whose output is saved, each to a file; none stops the others."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

_COMMAND_SECONDS = 30
_TOGETHER = 4
INDEX = "INDEX.txt"


@dataclass(frozen=True)
class Job:
    """A command and the file for what it prints. `shown` is how the index tells it: without the way
    into a namespace, say."""

    file: Path
    argv: Sequence[str]
    shown: str = ""


def run(jobs: Iterable[Job]) -> None:
    """Runs all. What one says on stderr, and why it couldn't be run, stands in `<file>.error`."""
    with ThreadPoolExecutor(max_workers=_TOGETHER) as pool:
        list(pool.map(_save, jobs))


def _save(job: Job) -> None:
    job.file.parent.mkdir(parents=True, exist_ok=True)
    error = job.file.with_name(f"{job.file.name}.error")
    try:
        done = subprocess.run(
            list(job.argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        job.file.write_bytes(done.stdout)
        if done.returncode != 0 or done.stderr:
            error.write_bytes(f"exit code {done.returncode}\n".encode() + done.stderr)
    except (OSError, subprocess.TimeoutExpired) as failure:
        error.write_text(f"{failure}\n")


def printed(argv: Sequence[str]) -> str:
    """What a command prints; nothing where it can't be run."""
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def write_index(target: Path, jobs: Iterable[Job], notes: Iterable[str] = ()) -> None:
    """Lists every file below the directory, with the command that it is of."""
    commands = {job.file: job.shown or " ".join(job.argv) for job in jobs}
    lines = list(notes)
    for file in sorted(entry for entry in target.rglob("*") if entry.is_file()):
        if file.name == INDEX:
            continue
        told = commands.get(file, "")
        if file.suffix == ".error":
            told = "why the file beside it is missing, or what else was said"
        size = file.lstat().st_size
        lines.append(f"{file.relative_to(target)}\t{size} bytes\t{told}".rstrip())
    (target / INDEX).write_text("\n".join(lines) + "\n")
