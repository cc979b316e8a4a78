"""Shows commands as a person would type them, with what they print and when."""

from __future__ import annotations

import os
import signal
import subprocess
import time

from clusterlib.errors import ClusterError
from clusterlib.layout import REPOSITORY

COMMAND_SECONDS = 60.0


class ToolFailed(ClusterError):
    """A tool of this project ended with an error, which it has explained on the terminal."""


class Stage:
    """Runs commands one after the other, in the repository, on the terminal. Used from one thread."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self.environment = dict(os.environ)

    def elapsed(self) -> float:
        return time.monotonic() - self._start

    def step(self, text: str) -> None:
        """Announces what comes next."""
        print(f"\n[{self.elapsed():6.1f} s] {text}", flush=True)

    def run(self, command: str, timeout: float = COMMAND_SECONDS) -> None:
        """Prints the command as one would type it, then its output. Its failure ends the demo."""
        code = self._run(command, timeout)
        if code != 0:
            raise ClusterError(f"run {command!r}: exit code {code}")

    def tool(self, command: str, timeout: float) -> None:
        """As `run`, for a tool of this project: its failure ends the demo with its exit code."""
        code = self._run(command, timeout)
        if code != 0:
            raise ToolFailed(f"run {command!r}: exit code {code}", code)

    def refused(self, command: str, wanted: int = 1) -> None:
        """A command that must fail with that exit code, and the reason that it prints."""
        code = self._run(command, COMMAND_SECONDS)
        if code == 0:
            raise ClusterError(f"run {command!r}: was taken and should have been refused")
        if code != wanted:
            raise ClusterError(
                f"run {command!r}: exit code {code}, and {wanted} says that it was refused"
            )

    def ask(self, command: str) -> str:
        """What a command says that isn't shown, for the next one that is."""
        done = subprocess.run(
            ["bash", "-c", command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=REPOSITORY,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise ClusterError(
                f"run {command!r}: exit code {done.returncode}: {done.stderr.strip()}"
            )
        return done.stdout.strip()

    def await_answer(self, command: str, wanted: str, timeout: float = COMMAND_SECONDS) -> None:
        """Waits, without showing it, until the command's answer holds the wanted word."""
        deadline = time.monotonic() + timeout
        while wanted not in (said := self.ask(command)):
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"wait for {wanted!r} from {command!r}: not within {timeout:g} s; last: {said!r}"
                )
            time.sleep(0.5)

    def _run(self, command: str, timeout: float) -> int:
        print(f"$ {command}", flush=True)
        # A group of its own: Ctrl-C comes to the demo, which passes it on and waits.
        process = subprocess.Popen(
            ["bash", "-c", command],
            stdin=subprocess.DEVNULL,
            env=self.environment,
            cwd=REPOSITORY,
            start_new_session=True,
        )
        try:
            process.wait(timeout)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(60)
            if isinstance(error, subprocess.TimeoutExpired):
                raise ClusterError(f"run {command!r}: no end within {timeout:g} s") from error
            raise
        return process.returncode
