"""What a person sees as a sentence."""

from __future__ import annotations

import errno

EXIT_FAILED = 1
EXIT_UNUSABLE = 2
"""The machine or the command line can't do what was asked; trying again won't help."""
MAKE_ROOM = "free some space (build/ and ~/.cache/multinet hold what can be built again)"


class ClusterError(Exception):
    """Something went wrong that one sentence explains; `exit_code` is the program's."""

    def __init__(self, message: str, exit_code: int = EXIT_FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def told(error: OSError) -> str:
    """What the system refused, as a sentence with a remedy where there is one."""
    what = error.strerror or str(error)
    if error.errno == errno.ENOSPC:
        return f"write {error.filename or 'a file'}: {what.lower()}; {MAKE_ROOM}"
    return f"{error.filename or 'system call'}: {what.lower()}"
