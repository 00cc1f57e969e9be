"""Schedules against their closed forms."""

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinylm.configs.schedule import ConstantConfig, CosineConfig, LinearConfig, WSDConfig
from tinylm.schedules import constant, cosine, linear, rate_at_fraction, rate_at_step, wsd


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


def test_linear_at_its_marks() -> None:
    """0 at step 0, the peak at the end of the warm-up, a straight line down to the minimum at the end and after."""
    rates = [
        linear(step, max_lr=1.0, min_lr=0.2, warmup_steps=10, total_steps=30) for step in (0, 5, 10, 15, 20, 30, 99)
    ]
    assert rates == pytest.approx([0.0, 0.5, 1.0, 0.8, 0.6, 0.2, 0.2])


def test_wsd_at_its_marks() -> None:
    """A trapezoid: up over the warm-up, level at the peak, and a straight line down over the last decay_steps."""
    steps = (0, 5, 10, 50, 80, 85, 90, 100, 999)
    rates = [wsd(step, 1.0, 0.2, warmup_steps=10, decay_steps=20, total_steps=100) for step in steps]
    assert rates == pytest.approx([0.0, 0.5, 1.0, 1.0, 1.0, 0.8, 0.6, 0.2, 0.2])


@given(scale=st.floats(1e-3, 1e3), step=st.floats(0, 1))
def test_any_unit_will_do(scale: float, step: float) -> None:
    """Shares of the run and steps of it give the same rate, when all arguments are in one unit."""
    assert cosine(step, 1.0, 0.1, 0.2, 1.0) == pytest.approx(cosine(scale * step, 1.0, 0.1, scale * 0.2, scale))
    assert linear(step, 1.0, 0.1, 0.2, 1.0) == pytest.approx(linear(scale * step, 1.0, 0.1, scale * 0.2, scale))
    assert wsd(step, 1.0, 0.1, 0.2, 0.3, 1.0) == pytest.approx(
        wsd(scale * step, 1.0, 0.1, scale * 0.2, scale * 0.3, scale)
    )


KINDS: list[type[CosineConfig | LinearConfig | WSDConfig | ConstantConfig]] = [
    CosineConfig,
    LinearConfig,
    WSDConfig,
    ConstantConfig,
]


def config(kind: type[Any], **keys: float) -> Any:
    """A schedule that ends at 0.1, unless it never falls."""
    return kind(**keys, **({} if kind is ConstantConfig else {"min_lr": 0.1}))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("warmup", [{"warmup_steps": 4}, {"warmup_fraction": 0.4}])
def test_first_and_last_update(kind: type[Any], warmup: dict[str, float]) -> None:
    """Update 1 moves, the peak is at the end of the warm-up, the last update takes the schedule's end exactly."""
    rates = [rate_at_step(config(kind, **warmup), 1.0, step, 10) for step in range(1, 11)]
    assert rates[0] == 0.25
    assert rates[3] == 1.0
    assert rates[-1] == (1.0 if kind is ConstantConfig else 0.1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", range(1, 11))
def test_fraction_and_step_agree(kind: type[Any], step: int) -> None:
    """A run on a budget whose steps are all equally long has the rates of a run of that many steps."""
    schedule = config(kind, warmup_fraction=0.3)
    assert rate_at_fraction(schedule, 1.0, step, step / 10) == pytest.approx(rate_at_step(schedule, 1.0, step, 10))


@pytest.mark.parametrize("kind", KINDS)
def test_warmup_in_steps_is_a_ramp_before_a_budgets_curve(kind: type[Any]) -> None:
    """On a budget the curve runs over all of it; its first warmup_steps updates take their share of its rate."""
    with_ramp, curve = config(kind, warmup_steps=4), config(kind, warmup_fraction=0)
    for step, fraction in ((1, 0.02), (3, 0.3), (4, 0.4), (9, 0.7), (12, 1.0)):
        expected = min(1.0, step / 4) * rate_at_fraction(curve, 1.0, step, fraction)
        assert rate_at_fraction(with_ramp, 1.0, step, fraction) == expected
    assert rate_at_fraction(with_ramp, 1.0, 12, 1.0) == (1.0 if kind is ConstantConfig else 0.1)
