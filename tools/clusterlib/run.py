"""Running other programs, always with a deadline."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from clusterlib.errors import ClusterError


def run(
    argv: Sequence[str],
    *,
    timeout: float = 30,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end and returns what it printed.

    Raises ClusterError when it can't be started, takes longer than `timeout` seconds, or (with
    `check`) fails; the message holds the end of its error output.
    """
    try:
        done = subprocess.run(
            list(argv),
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=env,
            cwd=cwd,
            check=False,
        )
    except FileNotFoundError as error:
        raise ClusterError(
            f"run {argv[0]}: not installed; tools/install-deps installs all that is needed"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"run {' '.join(argv)}: not done after {timeout:g} s") from error
    if check and done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise ClusterError(f"run {' '.join(argv)}: exit code {done.returncode}: {said}")
    return done
