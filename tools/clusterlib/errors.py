"""The one exception that a person sees as a sentence."""

from __future__ import annotations

EXIT_FAILED = 1
EXIT_UNUSABLE = 2
"""The machine or the command line can't do what was asked; trying again won't help."""


class ClusterError(Exception):
    """Something went wrong that one sentence explains; `exit_code` is the program's."""

    def __init__(self, message: str, exit_code: int = EXIT_FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code
