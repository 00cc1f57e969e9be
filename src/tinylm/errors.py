"""Errors that a user can cause, each with the exit code it becomes.

TinylmError             1   could not: the input, the disk or the machine does not allow it
├── UsageError          2   wrongly asked: a flag or an argument
│   └── ConfigError     2   wrongly asked: a configuration, with every problem found in it
├── NegativeResultError 3   done, but the answer is no: a run diverged, a rule was broken
└── StoppedError    128+n   stopped by signal n, after saving: 130 Ctrl-C, 143 SIGTERM

Anything else that escapes is a bug and keeps its traceback.
"""

from collections.abc import Sequence


class TinylmError(Exception):
    """The work could not be done; the message says what, where and what to do."""

    exit_code = 1


class UsageError(TinylmError, ValueError):
    """The request itself makes no sense."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration with at least one problem; all of them are in `problems`."""

    def __init__(self, source: str, problems: Sequence[str]) -> None:
        self.source = source
        self.problems = tuple(problems)
        if len(self.problems) == 1:
            super().__init__(f"{source}: {self.problems[0]}")
        else:
            super().__init__("\n".join([f"{source} does not hold together:", *(f"  {p}" for p in self.problems)]))


class NegativeResultError(TinylmError):
    """The work was done and its answer is no."""

    exit_code = 3


class StoppedError(TinylmError):
    """A signal asked for the end and everything was saved."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number
