"""Learning-rate schedules: from the number of the step to the rate it takes.

Steps count from 1 for the first update, so that the first update moves (rate max_lr / warmup_steps) and the last, step
total_steps, takes exactly the schedule's end. Step 0, the state before training, has rate 0 when there is a warm-up.
"""

import math
from typing import assert_never

from tinylm.configs.schedule import ConstantConfig, CosineConfig, ScheduleConfig


def cosine(step: int, max_lr: float, min_lr: float, warmup_steps: int, total_steps: int) -> float:
    """Linear from 0 to max_lr at warmup_steps, half a cosine down to min_lr at total_steps, min_lr from there on."""
    if step < warmup_steps:
        return max_lr * step / warmup_steps
    if step > total_steps:
        return min_lr
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)  # a warm-up may fill the whole run
    return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * progress)) / 2


def constant(step: int, max_lr: float, warmup_steps: int) -> float:
    """Linear from 0 to max_lr at warmup_steps, max_lr from there on."""
    return max_lr * min(1.0, step / warmup_steps) if warmup_steps else max_lr


def learning_rate(config: ScheduleConfig, *, max_lr: float, step: int, total_steps: int) -> float:
    """The rate of update `step` (1, 2, ..., total_steps) under a configured schedule."""
    match config:
        case CosineConfig():
            return cosine(step, max_lr, config.min_lr, config.warmup_steps, total_steps)
        case ConstantConfig():
            return constant(step, max_lr, config.warmup_steps)
        case _:
            assert_never(config)
