"""Lets clang-tidy read the sources of a tree, as many at once as there are processors."""

from __future__ import annotations

import json
import os
import re
import subprocess
import venv
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from clusterlib.progress import Progress
from tidylib.passed import PLACE, ROOT, Passed

_REQUIREMENTS = ROOT / "tools" / "tidy-requirements.txt"
_INSTALL_SECONDS = 300
_SECONDS_A_FILE = 1800  # at the lowest priority, beside everything else
_SAY_EACH = 25
_UNSHIPPED = ("bench", "test")
_GENERATING = (".proto",)
"""Headers come of these, which ninja doesn't remember with who includes them."""
_NOT_IN_TESTS = (
    "-cppcoreguidelines-special-member-functions,-performance-inefficient-vector-operation,"
    "-bugprone-empty-catch"
)
"""Nobody copies a fixture, a test's vector may grow, and a peer may be cut off at any time."""


_PRECOMPILED = re.compile(r" -Xclang -include(-pch)? -Xclang \S+| -include \S+/cmake_pch\.hxx")


def _is_shipped(path: Path) -> bool:
    return (
        not path.name.endswith(("_test.cc", "_fuzz.cc", "_bench.cc"))
        and path.relative_to(ROOT).parts[0] not in _UNSHIPPED
    )


def _changed(since: str) -> set[Path] | None:
    """The files that aren't as they were at a commit; None where all sources may read otherwise."""
    changed: set[Path] = set()
    for command in (
        ["git", "diff", "--name-only", "--no-renames", since, "--"],
        ["git", "ls-files", "--others", "--exclude-standard"],
    ):
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if listed.returncode != 0:
            return None
        changed |= {ROOT / line for line in listed.stdout.splitlines()}
    settings = {ROOT / ".clang-tidy", _REQUIREMENTS}
    if changed & settings or any(path.suffix in _GENERATING for path in changed):
        return None
    return changed


def _readers(
    sources: Sequence[Path], changed: set[Path], headers: dict[Path, list[Path]]
) -> list[Path]:
    """The sources that changed, and for each header that did one that includes it, its own first."""
    chosen = {path for path in sources if path in changed or path not in headers}
    for header in sorted(changed):
        includes = [path for path in sources if header in headers.get(path, ())]
        own = [path for path in includes if path == header.with_suffix(".cc")]
        chosen.update(own or ([] if chosen & set(includes) else includes[:1]))
    return sorted(chosen)


class Unreadable(Exception):
    """Why no source could be read, and what to do."""


class Reader:
    """Of one built tree."""

    def __init__(self, tree: str, passed: Passed) -> None:
        self._build = ROOT / "build" / tree
        self._passed = passed
        self._progress = Progress()
        try:
            commands = json.loads((self._build / "compile_commands.json").read_text())
        except FileNotFoundError as error:
            raise Unreadable(
                f"read {error.filename}: there is none; configure it: cmake --preset {tree}"
            ) from error
        self._commands: dict[Path, dict[str, Any]] = {}
        for one in commands:
            # Another clang can't read them, and a source includes what it uses.
            one["command"] = _PRECOMPILED.sub("", one["command"])
            path = Path(one["file"])
            if path.is_relative_to(ROOT) and not path.is_relative_to(ROOT / "build"):
                self._commands.setdefault(path, one)
        self._place = self._build / "tidy"
        self._place.mkdir(exist_ok=True)
        (self._place / "compile_commands.json").write_text(json.dumps([*self._commands.values()]))

    def read(self, files: Sequence[Path], shipped: bool = False, since: str = "") -> int:
        """How many of these sources (all or, of those, what is shipped, where none is named) don't
        pass. Of what is as it was at the commit `since`, that is known."""
        wanted = [self._source(file) for file in files] or sorted(self._commands)
        wanted = [path for path in wanted if not shipped or _is_shipped(path)]
        checks = (ROOT / ".clang-tidy").read_text() + _REQUIREMENTS.read_text()
        headers = self._headers()
        changed = _changed(since) if since else None
        if changed is not None:
            every = len(wanted)
            wanted = _readers(wanted, changed, headers)
            self._progress.say(
                f"tidy: {len(wanted)} of {every} tell what changed since {since[:12]}"
            )
        if not wanted:
            return 0
        program = self._install()
        keys = {
            path: self._passed.key(
                {"command": self._commands[path]["command"], "checks": checks},
                headers.get(path, [path]),
            )
            for path in wanted
        }
        # Which headers a source reads is known once it was compiled.
        todo = [path for path in wanted if path not in headers or not self._passed.has(keys[path])]
        self._progress.say(f"tidy: {len(todo)} of {len(wanted)} sources to read")
        failed = 0
        with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
            results = pool.map(lambda path: self._read(program, path), todo)
            for number, (path, found) in enumerate(zip(todo, results, strict=True), start=1):
                if found:
                    failed += 1
                    print(found, flush=True)
                else:
                    self._passed.add(keys[path])
                if number % _SAY_EACH == 0:
                    self._progress.say(f"tidy: {number} of {len(todo)} read, {failed} don't pass")
        self._progress.say(f"tidy: {len(wanted) - failed} of {len(wanted)} sources pass")
        return failed

    def _source(self, file: Path) -> Path:
        path = file.resolve()
        if path in self._commands:
            return path
        raise Unreadable(
            f"read {file}: {self._build.name}'s compile_commands.json has no command for it;"
            " name a .cc of the tree, or configure the tree again"
        )

    def _install(self) -> Path:
        """The program, installed where it isn't yet."""
        place = PLACE / "venv"
        program = place / "bin" / "clang-tidy"
        wanted = _REQUIREMENTS.read_text()
        stamp = place / "installed"
        if program.exists() and stamp.exists() and stamp.read_text() == wanted:
            return program
        with self._progress.step("install clang-tidy"):
            venv.create(place, clear=True, with_pip=True)
            command = [str(place / "bin" / "pip"), "install", "--quiet", "--require-hashes"]
            command += ["--no-deps", "--requirement", str(_REQUIREMENTS)]
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
            )
        if done.returncode != 0:
            raise Unreadable(f"install {_REQUIREMENTS.name} with pip: {done.stderr.strip()}")
        stamp.write_text(wanted)
        return program

    def _headers(self) -> dict[Path, list[Path]]:
        """What of ours each compiled source includes, as ninja remembers it."""
        done = subprocess.run(
            ["ninja", "-C", str(self._build), "-t", "deps"],
            capture_output=True,
            text=True,
            check=False,
        )
        found: dict[Path, list[Path]] = {}
        for block in done.stdout.split("\n\n"):
            _, *lines = block.splitlines() or [""]
            paths = [(self._build / line.strip()).resolve() for line in lines]
            ours = [path for path in paths if path.is_relative_to(ROOT)]
            source = next((path for path in ours if path in self._commands), None)
            if source and all(path.exists() for path in ours):
                found[source] = ours
        return found

    def _read(self, program: Path, path: Path) -> str:
        """What was found there; nothing where all is well."""
        command = [str(program), "--quiet", "-p", str(self._place), str(path)]
        # g++'s own warnings, where its commands are used, and what cmake/Compiler.cmake tells clang.
        command.append("--extra-arg=-Wno-unknown-warning-option")
        command.append("--extra-arg=-Wno-deprecated-declarations")
        if not _is_shipped(path):
            command.append(f"--checks={_NOT_IN_TESTS}")
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=_SECONDS_A_FILE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"{path}: clang-tidy took more than {_SECONDS_A_FILE} s"
        if done.returncode == 0:
            return ""
        return done.stdout.strip() or f"{path}: clang-tidy failed: {done.stderr.strip()}"
