"""The whole configuration of a training run: `RunConfig` and its remaining tables."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from tinylm.configs.base import Table, exactly_one
from tinylm.configs.model import ModelConfig, Size
from tinylm.configs.optim import AdamWConfig, Decay, OptimConfig, Positive
from tinylm.configs.schedule import CosineConfig, ScheduleConfig, Steps, WSDConfig

LENGTHS = ("steps", "budget_seconds", "budget_h100_hours")
"""Keys of `[train]` that say how long a run is; exactly one of them holds."""


class DataConfig(Table):
    """The `[data]` table; paths are relative to where the command runs."""

    train: str
    """Token file to train on, written by `tinylm encode`."""
    valid: str
    """Token file to evaluate on."""
    tokenizer: str
    """Directory of the tokenizer that made both."""


class TrainConfig(Table):
    """The `[train]` table."""

    steps: Size | None = None
    """Optimizer steps. When neither this nor a budget is given: 5000."""
    budget_seconds: Positive | None = None
    """Seconds of training in place of steps; evaluation, sampling and saving are not counted."""
    budget_h100_hours: Positive | None = None
    """The same in hours of an H100: time counts by the device's peak bf16 rate, measured where no maker lists it."""
    batch_size: Size = 128
    """Sequences per step, over all micro-batches."""
    grad_accumulation: Size = 1
    """Micro-batches per step; must divide batch_size."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic of the matrix products; auto takes bf16 where the device has it in hardware."""
    compile: Literal["auto", "on", "off"] = "auto"
    """torch.compile; auto turns it on for long runs on a GPU."""
    deterministic: bool = True
    """On a GPU, only kernels that always add in the same order, so that runs repeat and resume to the bit."""
    device: str = "auto"
    """cpu, cuda, cuda:1, mps; auto takes the fastest present."""
    eval_every: Steps = 250
    """Steps between evaluations; 0 evaluates at the end only."""
    eval_batches: Steps = 100
    """Batches per evaluation, the same ones each time; 0 is the whole validation file, exactly."""
    final_eval: Literal["sampled", "full"] = "sampled"
    """The evaluation at the end: eval_batches like the others, or the whole validation file."""
    save_every: Steps = 500
    """Steps between checkpoints; 0 saves at the end only."""
    keep_checkpoints: Size = 2
    """How many of the newest checkpoints stay on disk."""
    sample_every: Steps = 1000
    """Steps between samples; 0 for none."""
    sample_prompt: Annotated[str, Field(min_length=1)] = "Once upon a time"
    """What the samples during training begin with."""
    log_every: Size = 1
    """Steps between lines of metrics.jsonl."""
    update_ratio_every: Steps = 0
    """Steps between measurements of how far an update moves the weights; 0 for none. Costs a copy of the weights."""
    ema_decay: Decay = 0.0
    """Keep an exponential moving average of the weights, evaluate it and write text with it; 0 for none."""

    @model_validator(mode="before")
    @classmethod
    def _one_length(cls, values: Any) -> Any:
        return exactly_one(LENGTHS, values, default={"steps": 5000})

    @model_validator(mode="after")
    def _accumulation_divides_the_batch(self) -> "TrainConfig":
        if self.batch_size % self.grad_accumulation:
            raise ValueError(
                f"batch_size {self.batch_size} is not divisible by grad_accumulation {self.grad_accumulation}"
            )
        return self


class TrackingConfig(Table):
    """The `[tracking]` table."""

    wandb: Literal["off", "offline", "online"] = "off"
    """Also log to Weights & Biases: to local files only, or over the network."""
    project: str = "tinylm"
    """Weights & Biases project."""


class RunConfig(Table):
    """Everything that determines a training run."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1337
    """Determines the initial weights, the batches and the samples."""
    data: DataConfig
    model: ModelConfig = ModelConfig()
    optim: OptimConfig = AdamWConfig()
    schedule: ScheduleConfig = CosineConfig()
    train: TrainConfig = TrainConfig()
    tracking: TrackingConfig = TrackingConfig()

    @field_validator("optim", "schedule", mode="before")
    @classmethod
    def _kind_has_a_default(cls, value: Any, info: ValidationInfo) -> Any:
        """`[optim] lr = 1e-3` alone is the default kind of optimizer."""
        if isinstance(value, Mapping) and "kind" not in value:
            return {"kind": cls.model_fields[str(info.field_name)].default.kind, **value}
        return value

    @model_validator(mode="after")
    def _rates_are_in_order(self) -> "RunConfig":
        if self.schedule.kind != "constant" and self.schedule.min_lr > self.optim.lr:
            raise ValueError(f"schedule.min_lr {self.schedule.min_lr} is above optim.lr {self.optim.lr}")
        return self

    @model_validator(mode="after")
    def _warmup_fits_the_run(self) -> "RunConfig":
        schedule, steps = self.schedule, self.train.steps
        if schedule.warmup_steps is None or steps is None:
            return self
        if schedule.warmup_steps > steps:
            raise ValueError(f"schedule.warmup_steps {schedule.warmup_steps} is more than train.steps {steps}")
        if isinstance(schedule, WSDConfig) and schedule.warmup_steps > (1 - schedule.decay_fraction) * steps:
            raise ValueError(
                f"schedule.warmup_steps {schedule.warmup_steps} reaches into the decay, "
                f"the last {schedule.decay_fraction:.0%} of {steps} steps"
            )
        return self
