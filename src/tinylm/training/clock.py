"""A clock that can be stopped: the time a run has trained, without evaluation, sampling and saving."""

import time


class Clock:
    """Counts seconds while it runs."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._before = seconds
        self._started: float | None = None

    @property
    def seconds(self) -> float:
        """Counted so far."""
        running = 0.0 if self._started is None else time.perf_counter() - self._started
        return self._before + running

    def start(self) -> None:
        """Count from now on, if it does not already."""
        if self._started is None:
            self._started = time.perf_counter()

    def stop(self) -> None:
        """Count no further."""
        self._before, self._started = self.seconds, None
