"""A run diverges at once on what is not finite, and in time on what stays high."""

import math

import pytest

from tinylm.training.divergence import PATIENCE, LossWatch

HIGH = 2 * math.log(50) + 1


@pytest.mark.parametrize("figures", [(math.nan, 1.0), (math.inf, 1.0), (1.0, math.nan), (1.0, math.inf)])
def test_what_is_not_finite_diverges(figures: tuple[float, float]) -> None:
    """Loss and gradient norm both count."""
    assert LossWatch(50).diverges(*figures)


def test_high_for_long_diverges() -> None:
    """Twice ln(vocab_size) may be exceeded for PATIENCE - 1 steps in a row, not for one more."""
    watch = LossWatch(50)
    assert not any(watch.diverges(HIGH, 1.0) for _ in range(PATIENCE - 1))
    assert watch.diverges(HIGH, 1.0)


def test_a_loss_that_recovers_does_not_diverge() -> None:
    """The patience begins anew when the smoothed loss has come down."""
    watch = LossWatch(50)
    for _ in range(3):
        assert not any(watch.diverges(HIGH, 1.0) for _ in range(PATIENCE - 5))
        assert not any(watch.diverges(1.0, 1.0) for _ in range(5))


def test_smoothing() -> None:
    """The first loss counts fully, each later one a twentieth."""
    watch = LossWatch(50)
    watch.diverges(2.0, 1.0)
    watch.diverges(3.0, 1.0)
    assert watch.smoothed_loss == pytest.approx(0.95 * 2 + 0.05 * 3)


def test_state_goes_on() -> None:
    """A watch made from another's state gives its verdicts; a loss that is not finite is kept as unknown."""
    watch = LossWatch(50)
    for _ in range(PATIENCE - 1):
        watch.diverges(HIGH, 1.0)
    assert LossWatch(50, **watch.state()).diverges(HIGH, 1.0)  # type: ignore[arg-type]
    watch.diverges(math.nan, 1.0)
    assert watch.state()["smoothed_loss"] is None
