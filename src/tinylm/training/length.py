"""How long a run is, in steps or in seconds of training, and by that the learning rate of each of its updates."""

import statistics
from collections import deque

from tinylm.configs.run import LENGTHS, TrainConfig
from tinylm.configs.schedule import ScheduleConfig
from tinylm.schedules import rate_at_fraction, rate_at_step

RECENT_STEPS = 10
LATEST_STEPS = 3


def asked_length(train: TrainConfig) -> dict[str, float | None]:
    """The length of a run as its configuration has it: all but one are None."""
    return {key: getattr(train, key) for key in LENGTHS}


class Length:
    """So many steps, or as many as fit into so many seconds; exactly one of the two is given.

    A run in seconds knows from its recent steps when there is room for one more only: that is the last, and it takes
    the end of the schedule exactly, as the last of a known number does.
    """

    def __init__(self, *, steps: int | None = None, seconds: float | None = None) -> None:
        self.steps = steps
        self.seconds = seconds
        self.step_seconds = 0.0
        """How long a step takes; 0 while that is not known."""
        self._recent: deque[float] = deque(maxlen=RECENT_STEPS)
        self._warm = False

    def behind(self, step: int, seconds: float) -> float:
        """Share of the run that lies behind after update `step` and `seconds` of training; 1 when there is no more."""
        if self.seconds is None:
            return step / (self.steps or 1)
        return 1.0 if seconds + self.step_seconds > self.seconds else seconds / self.seconds

    def ahead(self, step: int, seconds: float, *, unfinished: int) -> float:
        """The same at the end of update `step`, which starts now, while `unfinished` earlier ones still compute."""
        return self.behind(step, seconds + (unfinished + 1) * self.step_seconds)

    def learning_rate(self, schedule: ScheduleConfig, max_lr: float, step: int, fraction: float) -> float:
        """The rate of update `step`, which ends at a `fraction` of the run."""
        if self.steps is None:
            return rate_at_fraction(schedule, max_lr, step, fraction)
        return rate_at_step(schedule, max_lr, step, self.steps)

    def took(self, seconds: float) -> None:
        """Learn how long a step took; not from an invocation's first, which compiles, allocates and fills caches.

        One slow step says little, but when the latest are slow the machine has become so.
        """
        if self._warm:
            self._recent.append(seconds)
            latest = list(self._recent)[-LATEST_STEPS:]
            self.step_seconds = max(statistics.median(self._recent), statistics.median(latest))
        self._warm = True
