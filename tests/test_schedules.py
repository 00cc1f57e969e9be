"""Schedules against their closed forms."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinylm.configs.schedule import ConstantConfig, CosineConfig
from tinylm.schedules import constant, cosine, learning_rate


def test_cosine_at_its_marks() -> None:
    """0 at step 0, the peak at the end of the warm-up, the mean half-way down, the minimum at the end and after."""
    rates = [
        cosine(step, max_lr=1.0, min_lr=0.2, warmup_steps=10, total_steps=30) for step in (0, 5, 10, 20, 30, 31, 99)
    ]
    assert rates == pytest.approx([0.0, 0.5, 1.0, 0.6, 0.2, 0.2, 0.2])


def test_cosine_in_between() -> None:
    """A quarter of the way down the rate is at (1 + cos(pi / 4)) / 2 of the range."""
    assert cosine(15, 1.0, 0.2, 10, 30) == pytest.approx(0.2 + 0.8 * (1 + math.cos(math.pi / 4)) / 2)


@given(warmup=st.integers(0, 50), decay=st.integers(0, 50), max_lr=st.floats(1e-6, 10), share=st.floats(0, 1))
def test_cosine_rises_then_falls(warmup: int, decay: int, max_lr: float, share: float) -> None:
    """For any lengths the rate rises to the peak, falls to the minimum, and never leaves [0, peak]."""
    total, min_lr = warmup + decay, share * max_lr
    rates = [cosine(step, max_lr, min_lr, warmup, total) for step in range(total + 2)]
    assert all(a <= b for a, b in pairwise(rates[: warmup + 1]))
    assert all(a >= b for a, b in pairwise(rates[warmup:]))
    assert rates[warmup] == pytest.approx(max_lr)
    assert rates[-1] == min_lr
    assert min(rates) >= 0
    assert max(rates) <= max_lr * (1 + 1e-12)


@pytest.mark.parametrize(("step", "expected"), [(0, 0.0), (1, 0.5), (4, 2.0), (5, 2.0), (1000, 2.0)])
def test_constant_after_warmup(step: int, expected: float) -> None:
    """Linear to the peak at the end of the warm-up, the peak from there on."""
    assert constant(step, max_lr=2.0, warmup_steps=4) == expected


def test_constant_without_warmup() -> None:
    """Without a warm-up the rate is the peak from the start."""
    assert [constant(step, 2.0, 0) for step in (0, 1, 9)] == [2.0] * 3


@pytest.mark.parametrize("config", [CosineConfig(warmup_steps=4, min_lr=0.1), ConstantConfig(warmup_steps=4)])
def test_configured_schedules(config: CosineConfig | ConstantConfig) -> None:
    """Updates 1 to the last move at all, reach the peak at the end of the warm-up and end where the schedule ends."""
    rates = [learning_rate(config, max_lr=1.0, step=step, total_steps=10) for step in range(1, 11)]
    assert rates[0] == 0.25
    assert rates[3] == 1.0
    assert rates[-1] == (0.1 if config.kind == "cosine" else 1.0)
