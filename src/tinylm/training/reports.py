"""What a training run tells whoever watches it: small frozen records."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StartReport:
    """Before the first step of this invocation."""

    step: int
    """Steps already done; more than 0 when a run is resumed."""
    fraction: float
    """Share of the run that they are."""
    num_parameters: int
    flops_per_step: int
    memory_bytes: int
    """Predicted for the peak of a step."""
    device: str
    precision: str
    peak_tokens_per_second: float
    """The rate at which MFU would be 1."""
    notes: tuple[str, ...] = ()
    """What was chosen or skipped, and why: one line each."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """After an optimizer step. `loss` is the mean over the batch's tokens, in nats, before the update."""

    step: int
    loss: float
    lr: float
    grad_norm: float
    tokens: int
    seconds: float
    """Training time so far, over all invocations, without evaluation, sampling and saving."""
    tokens_per_second: float
    fraction: float
    """Share of the run that lies behind: of its steps, or of its budget."""
    data_seconds: float
    """How long the step waited for its batch."""
    memory_bytes: int
    """The most memory so far: allocated on a GPU, or held by the process."""
    update_ratio: float | None
    """Norm of the update over that of the weights, every `update_ratio_every` steps."""


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """After an evaluation on the validation tokens."""

    step: int
    valid_loss: float
    """Nats per token."""
    valid_perplexity: float
    bits_per_byte: float | None
    """Comparable across tokenizers; None when the token file does not say how many bytes it came from."""
    valid_tokens: int
    """How many tokens were predicted."""
    last_valid_loss: float | None
    """Of the weights as the last step left them, when the others are of their average; else None."""


@dataclass(frozen=True, slots=True)
class SampleReport:
    """Text that the model wrote during training."""

    step: int
    text: str


@dataclass(frozen=True, slots=True)
class CheckpointReport:
    """After a checkpoint reached the disk."""

    step: int
    path: Path


@dataclass(frozen=True, slots=True)
class NoteReport:
    """Something was done otherwise than planned: a line for a person."""

    step: int
    text: str


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation's part in the profiled steps, without the operations that it calls."""

    name: str
    calls: int
    seconds: float
    share: float
    """Of the time of all operations."""


@dataclass(frozen=True, slots=True)
class ProfileReport:
    """Where the time of some steps went."""

    step: int
    trace: Path
    """For chrome://tracing or https://ui.perfetto.dev."""
    operations: tuple[Operation, ...]
    """The longest, longest first."""


@dataclass(frozen=True, slots=True)
class EndReport:
    """The last record of an invocation; the keys of `summary.json` and of `tinylm train --json`."""

    status: str
    """`done`, `diverged`, or `stopped` (on request, to be resumed)."""
    steps: int
    tokens: int
    train_loss: float | None
    """Smoothed over the last steps; None when it is not finite."""
    valid_loss: float | None
    valid_perplexity: float | None
    bits_per_byte: float | None
    valid_tokens: int | None
    """How many validation tokens these three figures are a mean over."""
    last_valid_loss: float | None
    """Of the weights as the last step left them, when the others are of their average; else None."""
    seconds: float
    """Training time, without evaluation, sampling and saving: what counts against a budget."""
    h100_hours: float
    """The same in hours of an H100, by the peak rates of both."""
    budget_seconds: float | None
    """What the run was given; None when it was given something else."""
    budget_h100_hours: float | None
    evaluation_seconds: float
    """Time that evaluations took, beside `seconds`."""
    tokens_per_second: float
    memory_bytes: int
    """The most memory at any time: allocated on a GPU, or held by the process."""
    mfu: float
    """Model FLOPs utilization: the model's FLOPs, attention counted densely, over the device's peak rate."""
    run: str


Report = (
    StartReport
    | StepReport
    | EvaluationReport
    | SampleReport
    | CheckpointReport
    | NoteReport
    | ProfileReport
    | EndReport
)
