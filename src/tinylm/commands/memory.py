"""`tinylm memory`: what a training step holds at its peak, and the batch that fits."""

from dataclasses import asdict, replace
from typing import Annotated, Any, Literal

import typer

from tinylm.accounting.activations import DeviceType, kept_activations
from tinylm.accounting.memory import kv_cache_bytes, largest_batch, training_memory, writeup_memory
from tinylm.accounting.moments import Moments, Training
from tinylm.accounting.optimizers import Optimizer
from tinylm.accounting.shape import ModelShape
from tinylm.commands import memory_report, options
from tinylm.commands.console import Console
from tinylm.commands.planned import Planned, planned_runs
from tinylm.errors import UsageError

GIGA = 10**9
ESTIMATES = {"exact": training_memory, "writeup": writeup_memory}

DeviceMemory = Annotated[
    float | None,
    typer.Option(metavar="GB", min=0.0, help="Memory of the device, in 10^9 bytes: the largest batch that fits."),
]
Activations = Annotated[
    Literal["exact", "writeup"], typer.Option(help="What autograd keeps and needs, or the write-up's formula.")
]


def memory(
    preset: options.Presets = None,
    config: options.Config = None,
    overrides: options.Set = None,
    context_length: options.ContextLengths = None,
    batch_size: options.BatchSize = None,
    device_memory: DeviceMemory = None,
    optimizer: Annotated[Optimizer | None, typer.Option(help="In place of the configuration's.")] = None,
    precision: Annotated[Literal["fp32", "bf16"] | None, typer.Option(help="Of the matrix products.")] = None,
    device: Annotated[
        DeviceType | None,
        typer.Option(help="Whose kernels compute. Default: a CPU's; with --measure, those of what is here."),
    ] = None,
    activations: Activations = "exact",
    trace: Annotated[bool, typer.Option("--trace", help="Also run the step on tensors without storage.")] = False,
    measure: Annotated[bool, typer.Option("--measure", help="Also run real steps here, and measure.")] = False,
    explain: options.Explain = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Predict the memory a training step needs, and the largest batch that fits.

    Several --preset or --context-length are compared side by side.

    Examples:

      tinylm memory --preset gpt2-small --batch-size 8 --device-memory 24

      tinylm memory --preset tinystories --batch-size 8 --measure
    """
    if activations == "writeup" and (trace or measure):
        raise UsageError("--trace and --measure check the exact figures; leave out --activations writeup")
    if device is None:
        device = fastest_device() if measure else "cpu"
    elif measure and device != fastest_device():
        raise UsageError(f"--measure runs on this machine's {fastest_device()}; leave out --device {device}")
    if trace and device == "cuda":
        raise UsageError("--trace follows a CPU's kernels; leave it out for a GPU")
    console = Console(json=json, quiet=quiet)
    if precision is None:
        console.note(
            "in fp32 where the configuration leaves precision to the device; --precision bf16 is a GPU's choice"
        )
    records = []
    for plan in planned_runs(preset, config, overrides, context_length):
        training = Training(
            optimizer=optimizer or plan.optimizer,
            precision=precision or ("bf16" if plan.precision == "bf16" else "fp32"),
            grad_accumulation=plan.grad_accumulation,
            device=device,
        )
        size = batch_size or plan.batch_size
        if size % training.grad_accumulation:
            raise UsageError(f"batch size {size} is not divisible by grad_accumulation {training.grad_accumulation}")
        record = memory_record(plan, size, training, activations, device_memory)
        records.append(record | checks(plan.shape, size, training, trace=trace, measure=measure))
    console.result(
        records[0] if len(records) == 1 else {"models": records}, memory_report.text(records, explain=explain)
    )


def fastest_device() -> DeviceType:
    """What `--measure` runs on."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def memory_record(
    plan: Planned, batch_size: int, training: Training, activations: str, device_memory: float | None
) -> dict[str, Any]:
    """The prediction, what it is made of, and what would change it."""
    estimate = ESTIMATES[activations]

    def size(shape: ModelShape, training: Training) -> dict[str, int | None]:
        fits = None if device_memory is None else largest_batch(shape, device_memory * GIGA, training, estimate)
        return {"total_bytes": estimate(shape, batch_size, training).total_bytes, "max_batch_size": fits}

    exact = activations == "exact"
    changes = alternatives(plan.shape, batch_size, training) if exact else {}
    micro_batch = batch_size // training.grad_accumulation
    return {
        "model": plan.name,
        "shape": asdict(plan.shape),
        "batch_size": batch_size,
        **asdict(training),
        "activations": activations,
        **asdict(estimate(plan.shape, batch_size, training)),
        **size(plan.shape, training),
        "device_memory_bytes": None if device_memory is None else device_memory * GIGA,
        "kept_bytes": asdict(kept_activations(plan.shape, micro_batch, training.precision, training.device))
        if exact
        else None,
        "moments_bytes": Moments(plan.shape, batch_size, training).all() if exact else None,
        "alternatives": {name: size(*change) for name, change in changes.items()},
        "kv_cache_bytes_per_sequence": kv_cache_bytes(plan.shape, training.precision),
    }


def alternatives(shape: ModelShape, batch_size: int, training: Training) -> dict[str, tuple[ModelShape, Training]]:
    """The same step with one thing changed."""
    attention: Literal["sdpa", "manual"] = "manual" if shape.attention == "sdpa" else "sdpa"
    precision: Literal["fp32", "bf16"] = "bf16" if training.precision == "fp32" else "fp32"
    changes = {
        f"precision {precision}": (shape, replace(training, precision=precision)),
        f"attention {attention}": (replace(shape, attention=attention), training),
        "activation checkpointing": (shape, replace(training, checkpointing=True)),
    }
    if training.grad_accumulation < batch_size:
        one_by_one = replace(training, grad_accumulation=batch_size)
        changes["one sequence at a time, accumulated"] = (shape, one_by_one)
    return changes


def checks(shape: ModelShape, batch_size: int, training: Training, *, trace: bool, measure: bool) -> dict[str, int]:
    """What was asked to be held against the prediction."""
    from tinylm.commands.rehearsal import measured_bytes, traced_bytes

    asked = {"traced_bytes": (traced_bytes, trace), "measured_bytes": (measured_bytes, measure)}
    return {name: peak(shape, batch_size, training) for name, (peak, wanted) in asked.items() if wanted}
