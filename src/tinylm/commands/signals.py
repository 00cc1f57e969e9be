"""Signals that ask a command to end: Ctrl-C, SIGTERM, and SIGHUP, which a lost connection or closed terminal sends."""

import os
import signal
from pathlib import Path
from types import FrameType

from tinylm.errors import StoppedError

HANGUP: int | None = getattr(signal, "SIGHUP", None)
"""Windows has none."""


def terminations() -> tuple[int, ...]:
    """Signals that say it is over, without SIGHUP where that is ignored, as `nohup` has it."""
    heard = HANGUP is not None and signal.getsignal(HANGUP) is not signal.SIG_IGN
    return (signal.SIGTERM, HANGUP) if HANGUP is not None and heard else (signal.SIGTERM,)


def terminate(signal_number: int, _frame: FrameType | None) -> None:
    """A handler that unwinds the stack, so that temporary files go and locks open."""
    raise StoppedError(f"stopped by {signal.Signals(signal_number).name}", signal_number)


class StopRequest:
    """Turns the first signal into a wish to stop after the step; a second Ctrl-C or SIGTERM stops at once.

    SIGHUP may come more than once, from the terminal and from the shell, and asks no more than that each time.
    """

    def __init__(self) -> None:
        self.signal: int | None = None

    def __enter__(self) -> "StopRequest":
        self._terminals = [descriptor for descriptor in (1, 2) if os.isatty(descriptor)]
        numbers = (signal.SIGINT, *terminations())
        self._previous = {number: signal.signal(number, self._ask) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore(list(self._previous))

    def asked(self) -> bool:
        """Whether a signal has arrived."""
        return self.signal is not None

    def error(self, out: Path) -> StoppedError:
        """What to raise once everything is saved."""
        assert self.signal is not None
        return StoppedError(f"stopped; {out} is saved, run the same command to go on", self.signal)

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number
        if number == HANGUP:
            self._leave_terminal()
        else:
            self._restore([number for number in self._previous if number != HANGUP])

    def _leave_terminal(self) -> None:
        """Writing to a terminal that is gone would be an error, before everything is saved."""
        with open(os.devnull, "wb") as nothing:  # noqa: PTH123
            for descriptor in self._terminals:
                os.dup2(nothing.fileno(), descriptor)

    def _restore(self, numbers: list[int]) -> None:
        for number in numbers:
            signal.signal(number, self._previous[number])
