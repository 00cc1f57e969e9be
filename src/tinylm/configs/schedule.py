"""The `[schedule]` table: how the learning rate moves, told apart by `kind`."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from tinylm.configs.base import Table, exactly_one
from tinylm.configs.optim import NonNegative

Steps = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
WARMUPS = ("warmup_steps", "warmup_fraction")


class _Schedule(Table):
    default_warmup: ClassVar[float] = 0.05

    warmup_steps: Steps | None = None
    """Steps of linear warm-up from 0."""
    warmup_fraction: Share | None = None
    """The same as a share of the run. When neither is given: 0.05, and 0 for a constant rate."""

    @model_validator(mode="before")
    @classmethod
    def _one_warmup(cls, values: Any) -> Any:
        return exactly_one(WARMUPS, values, default={"warmup_fraction": cls.default_warmup})


class CosineConfig(_Schedule):
    """Linear warm-up, then half a cosine down to min_lr at the end of the run."""

    kind: Literal["cosine"] = "cosine"
    """Which schedule."""
    min_lr: NonNegative = 2e-4
    """Learning rate at the end."""


class LinearConfig(_Schedule):
    """Linear warm-up, then a straight line down to min_lr at the end of the run."""

    kind: Literal["linear"] = "linear"
    """Which schedule."""
    min_lr: NonNegative = 0.0
    """Learning rate at the end."""


class WSDConfig(_Schedule):
    """Warm-up, stable, decay, also called trapezoid: the peak rate until a straight line down to min_lr."""

    kind: Literal["wsd"] = "wsd"
    """Which schedule."""
    decay_fraction: Annotated[Share, Field(gt=0)] = 0.2
    """Share of the run that the line down takes, at its end."""
    min_lr: NonNegative = 0.0
    """Learning rate at the end."""

    @model_validator(mode="after")
    def _warmup_comes_before_the_decay(self) -> "WSDConfig":
        if (self.warmup_fraction or 0) + self.decay_fraction > 1:
            raise ValueError(f"warmup_fraction {self.warmup_fraction} and decay_fraction {self.decay_fraction} overlap")
        return self


class ConstantConfig(_Schedule):
    """Linear warm-up, then the peak rate throughout."""

    default_warmup: ClassVar[float] = 0.0

    kind: Literal["constant"] = "constant"
    """Which schedule."""


ScheduleConfig = Annotated[
    CosineConfig | LinearConfig | WSDConfig | ConstantConfig,
    Field(discriminator="kind"),
]
