"""A run in seconds ends on time at the end of its schedule, however long its steps are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinylm.configs.schedule import CosineConfig
from tinylm.schedules import cosine
from tinylm.training.length import Length


def run(length: Length, durations: list[float], *, lag: int = 0) -> tuple[list[float], float]:
    """The share at the end of each step, as told before it, and the seconds at the end, for steps that long."""
    ends, fractions = [0.0], list[float]()
    for step, duration in enumerate(durations, start=1):
        seen = max(0, len(ends) - 1 - lag)
        if seen and len(ends) > 1 + lag:
            length.took(ends[seen] - ends[seen - 1])
        fractions.append(length.ahead(step, ends[seen], unfinished=len(ends) - 1 - seen))
        ends.append(ends[-1] + duration)
        if fractions[-1] >= 1:
            return fractions, ends[-1]
    raise AssertionError("the run did not end")


def test_steps_are_counted() -> None:
    """Of 4 steps each is a quarter, and the last is the end."""
    length = Length(steps=4)
    assert [length.ahead(step, 99.0, unfinished=0) for step in range(1, 5)] == [0.25, 0.5, 0.75, 1.0]
    assert length.behind(5, 0.0) > 1


@given(step_seconds=st.floats(0.05, 1.4), lag=st.sampled_from([0, 1]))
def test_even_steps_use_the_budget_up(step_seconds: float, lag: int) -> None:
    """With equal steps a run of 20 s ends within one step of 20 s, never beyond, and at a share of exactly 1."""
    fractions, seconds = run(Length(seconds=20.0), [step_seconds] * 1000, lag=lag)
    assert 20.0 - 1.01 * step_seconds <= seconds <= 20.0 * (1 + 1e-9)
    assert fractions[-1] == 1.0
    assert all(fraction < 1 for fraction in fractions[:-1])


@given(st.lists(st.floats(0.5, 1.5), min_size=200, max_size=200))
def test_uneven_steps_end_near_the_budget(durations: list[float]) -> None:
    """Steps that take from half to one and a half seconds end a run of 60 s within 3 s of it."""
    _, seconds = run(Length(seconds=60.0), durations)
    assert seconds == pytest.approx(60.0, abs=3.0)


def test_a_slow_first_step_does_not_end_the_run() -> None:
    """A first step that compiles for half the budget is no guide to the others."""
    fractions, seconds = run(Length(seconds=100.0), [55.0] + [1.0] * 100)
    assert len(fractions) > 40
    assert 98 < seconds <= 100


def test_the_end_of_a_step_counts() -> None:
    """The share is that at the end of the step to come, after those still under way, by the median of recent steps."""
    length = Length(seconds=100.0)
    for seconds in (50.0, 2.0, 2.0, 9.0):
        length.took(seconds)
    assert length.step_seconds == 2.0
    assert length.ahead(5, 10.0, unfinished=0) == pytest.approx(0.12)
    assert length.ahead(5, 10.0, unfinished=1) == pytest.approx(0.14)


def test_no_room_for_another_step_is_the_end() -> None:
    """At 97 of 100 s a step of 2 s is the last; after it nothing is left to do, as a resumed run must know."""
    length = Length(seconds=100.0)
    length.step_seconds = 2.0
    assert length.ahead(9, 97.0, unfinished=0) == 1.0
    assert length.behind(9, 97.0) < 1
    assert length.behind(10, 99.0) == 1.0


def test_rates_follow_step_or_share() -> None:
    """The rate comes from the step in a run of known length, and from the share in one on a budget."""
    schedule = CosineConfig(warmup_fraction=0.1, min_lr=0.1)
    assert Length(steps=50).learning_rate(schedule, 1.0, 20, 0.77) == cosine(20, 1.0, 0.1, 5, 50)
    assert Length(seconds=9.0).learning_rate(schedule, 1.0, 20, 0.77) == cosine(0.77, 1.0, 0.1, 0.1, 1)


def test_a_machine_that_becomes_slow_is_noticed() -> None:
    """Steps that go from 1 s to 4 s near the end of 60 s still end within one of them; a single slow one is no sign."""
    _, seconds = run(Length(seconds=60.0), [1.0] * 46 + [4.0] * 20)
    assert 54 <= seconds <= 60.1
    _, seconds = run(Length(seconds=60.0), [1.0] * 46 + [4.0] + [1.0] * 20)
    assert 58.9 <= seconds <= 60.1
