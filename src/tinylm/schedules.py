"""Learning-rate schedules: from a place in the run to the rate of the update that ends there.

Each is a closed form of how far the run is, in whatever unit its arguments share: steps, or shares of the whole. Steps
count from 1 for the first update, so that the first update moves (rate max_lr / warmup_steps) and the last, step
total_steps, takes exactly the schedule's end. Step 0, the state before training, has rate 0 when there is a warm-up.
"""

import math
from typing import assert_never

from tinylm.configs.schedule import ConstantConfig, CosineConfig, LinearConfig, ScheduleConfig, WSDConfig


def constant(step: float, max_lr: float, warmup_steps: float) -> float:
    """Linear from 0 to max_lr at warmup_steps, max_lr from there on."""
    return max_lr * step / warmup_steps if step < warmup_steps else max_lr


def cosine(step: float, max_lr: float, min_lr: float, warmup_steps: float, total_steps: float) -> float:
    """Linear from 0 to max_lr at warmup_steps, half a cosine down to min_lr at total_steps, min_lr from there on."""
    if step < warmup_steps:
        return constant(step, max_lr, warmup_steps)
    progress = _share(step, warmup_steps, total_steps)
    return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * progress)) / 2


def linear(step: float, max_lr: float, min_lr: float, warmup_steps: float, total_steps: float) -> float:
    """Linear from 0 to max_lr at warmup_steps, linear down to min_lr at total_steps, min_lr from there on."""
    if step < warmup_steps:
        return constant(step, max_lr, warmup_steps)
    progress = _share(step, warmup_steps, total_steps)
    return (1 - progress) * max_lr + progress * min_lr


def wsd(
    step: float, max_lr: float, min_lr: float, warmup_steps: float, decay_steps: float, total_steps: float
) -> float:
    """Warm-up, stable, decay (arXiv 2404.06395) as a trapezoid: max_lr until decay_steps before the end, then linear.

    The paper's decay is exponential.
    """
    if step < warmup_steps:
        return constant(step, max_lr, warmup_steps)
    progress = max(0.0, _share(step, total_steps - decay_steps, total_steps))
    return (1 - progress) * max_lr + progress * min_lr


def _share(step: float, start: float, end: float) -> float:
    """How far `step` is from `start` (0) to `end` (1), and 1 beyond it; a warm-up may fill the whole run."""
    return min(1.0, (step - start) / (end - start)) if start < end else float(step > end)


def rate_at_step(config: ScheduleConfig, max_lr: float, step: int, total_steps: int) -> float:
    """The rate of update `step` (1, 2, ..., total_steps) in a run of known length."""
    return _rate(config, max_lr, step, warmup_steps(config, total_steps), total_steps)


def warmup_steps(config: ScheduleConfig, total_steps: int) -> float:
    """Steps of warm-up in a run of known length."""
    return (config.warmup_fraction or 0) * total_steps if config.warmup_steps is None else config.warmup_steps


def rate_at_fraction(config: ScheduleConfig, max_lr: float, step: int, fraction: float) -> float:
    """The rate of update `step` in a run on a budget, a `fraction` of which is used when the update ends.

    How many steps there will be is not known: a warm-up given in steps is a ramp by which the curve is multiplied.
    """
    if config.warmup_steps is None:
        return _rate(config, max_lr, fraction, config.warmup_fraction or 0, 1)
    return constant(step, 1.0, config.warmup_steps) * _rate(config, max_lr, fraction, 0, 1)


def _rate(config: ScheduleConfig, max_lr: float, at: float, warmup: float, total: float) -> float:
    match config:
        case ConstantConfig():
            return constant(at, max_lr, warmup)
        case CosineConfig():
            return cosine(at, max_lr, config.min_lr, warmup, total)
        case LinearConfig():
            return linear(at, max_lr, config.min_lr, warmup, total)
        case WSDConfig():
            return wsd(at, max_lr, config.min_lr, warmup, config.decay_fraction * total, total)
        case _:
            assert_never(config)
