"""The clock counts only while it runs."""

import pytest

from tinylm.training import clock
from tinylm.training.clock import Clock


class FakeTime:
    """Time that passes when told to."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


def test_counts_only_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """2 s running, 5 s stopped and 1 s running again are 3 s; starting twice changes nothing."""
    time = FakeTime()
    monkeypatch.setattr(clock, "time", time)
    watch = Clock(10.0)
    for action, seconds in ((watch.start, 2.0), (watch.stop, 5.0), (watch.start, 0.5), (watch.start, 0.5)):
        action()
        time.now += seconds
    assert watch.seconds == 13.0
