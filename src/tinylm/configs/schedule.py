"""The `[schedule]` table: how the learning rate moves, told apart by `kind`."""

from typing import Annotated, Literal

from pydantic import Field

from tinylm.configs.base import Table
from tinylm.configs.optim import NonNegative

Steps = Annotated[int, Field(ge=0)]


class CosineConfig(Table):
    """Linear warm-up, then half a cosine down to min_lr at the last step."""

    kind: Literal["cosine"] = "cosine"
    """Which schedule."""
    warmup_steps: Steps = 250
    """Steps of linear warm-up from 0."""
    min_lr: NonNegative = 2e-4
    """Learning rate at the end."""


class ConstantConfig(Table):
    """Linear warm-up, then the peak rate throughout."""

    kind: Literal["constant"] = "constant"
    """Which schedule."""
    warmup_steps: Steps = 0
    """Steps of linear warm-up from 0."""


ScheduleConfig = Annotated[CosineConfig | ConstantConfig, Field(discriminator="kind")]
