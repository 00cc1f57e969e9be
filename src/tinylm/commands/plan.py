"""What `tinylm train --dry-run` says: the run that would start here, what it would cost, and what keeps it from it."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from tinylm.commands.console import Console, bytes_text, count_text, duration, table
from tinylm.errors import TinylmError

if TYPE_CHECKING:
    from tinylm.accounting.shape import ModelShape
    from tinylm.configs.run import RunConfig
    from tinylm.training.device import Execution

T = TypeVar("T")
GPU_MFU = 0.3
"""Share of the peak that training typically reaches on a GPU, for the expected time; `train` reports the real one."""
CPU_ELEMENTWISE_SECONDS = 1.2e-9
"""What an elementwise operation of the forward pass, with its part of the backward pass, takes a CPU thread beside
products at their measured peak: 0.9e-9 to 1.3e-9 for models of 0.5M and 36M, in fp32 and bf16 (docs/log.md)."""


def show_plan(config: "RunConfig", console: Console) -> None:
    """Settle every `auto`, print cost and choices, and check what can be checked; nothing is built or written.

    Raises: TinylmError after the plan is shown, when the run could not start.
    """
    from tinylm.training.cores import core_notes
    from tinylm.training.device import choose_execution
    from tinylm.training.inputs import load_inputs
    from tinylm.training.memory import require_memory

    execution = choose_execution(config.train)
    inputs, no_inputs = attempt(lambda: load_inputs(config))
    _, no_memory = attempt(lambda: require_memory(config, execution))
    values = plan(config, execution, train_tokens=len(inputs.train.tokens) if inputs else None)
    console.result(values, "\n".join([plan_table(values), *execution.notes, *core_notes(execution)]))
    problems = [problem for problem in (no_inputs, no_memory) if problem]
    if len(problems) > 1:
        raise TinylmError("\n".join(["the run could not start here:", *(f"  {problem}" for problem in problems)]))
    for problem in problems:
        raise problem


def attempt(action: Callable[[], T]) -> tuple[T | None, TinylmError | None]:
    """The result of an action, or its error."""
    try:
        return action(), None
    except TinylmError as error:
        return None, error


def plan(config: "RunConfig", execution: "Execution", *, train_tokens: int | None) -> dict[str, Any]:
    """The run's figures; `train_tokens` are those on disk, None when they are not there."""
    from tinylm.accounting.flops import training_flops
    from tinylm.accounting.parameters import count_parameters
    from tinylm.accounting.shape import ModelShape
    from tinylm.training.memory import free_bytes, needed_bytes

    train, shape = config.train, ModelShape.of(config.model)
    num_parameters = count_parameters(shape).total
    flops_per_step = training_flops(shape, train.batch_size)
    peak, mfu = execution.peak_flops(), assumed_mfu(execution, shape, train.batch_size)
    step_seconds = flops_per_step / (peak * mfu)
    budget_seconds = execution.budget_seconds(train)
    steps = train.steps or max(1, int((budget_seconds or 0) / step_seconds))
    tokens = steps * train.batch_size * shape.context_length
    return {
        "parameters": num_parameters,
        "steps": steps,
        "budget_seconds": budget_seconds,
        "tokens": tokens,
        "train_tokens": train_tokens,
        "epochs": tokens / train_tokens if train_tokens else None,
        "tokens_per_parameter": tokens / num_parameters,
        "flops_per_step": flops_per_step,
        "flops": steps * flops_per_step,
        "memory_bytes": needed_bytes(config, execution, train.grad_accumulation),
        "free_memory_bytes": free_bytes(execution.device),
        "device": str(execution.device),
        "precision": execution.precision,
        "compile": execution.compile,
        "peak_flops_per_second": peak,
        "assumed_mfu": mfu,
        "expected_seconds": steps * step_seconds,
    }


def assumed_mfu(execution: "Execution", shape: "ModelShape", batch_size: int) -> float:
    """The share of the peak that a run may reach: on a CPU, what elementwise operations leave to the products."""
    import torch

    from tinylm.accounting.elementwise import elementwise_forward_flops
    from tinylm.accounting.flops import training_flops

    if execution.device.type != "cpu":
        return GPU_MFU
    products = training_flops(shape, batch_size) / execution.peak_flops()
    rest = CPU_ELEMENTWISE_SECONDS * elementwise_forward_flops(shape, batch_size) / torch.get_num_threads()
    return products / (products + rest)


def plan_table(values: Mapping[str, Any]) -> str:
    """The same for a person."""
    seen = f"{count_text(values['tokens'])} seen"
    if values["train_tokens"]:
        seen = f"{values['train_tokens']:,} on disk, {seen} ({values['epochs']:.1f} times)"
    guessed = "" if values["budget_seconds"] is None else " or so, as many as fit into the budget"
    rows = [
        ("parameters", count_text(values["parameters"])),
        ("training tokens", seen),
        ("tokens per parameter", f"{values['tokens_per_parameter']:.1f} (compute-optimal is about 20)"),
        ("steps", f"{values['steps']:,}{guessed}"),
        ("FLOPs", f"{values['flops_per_step']:.3e} a step, {values['flops']:.3e} in all"),
        ("memory", f"{bytes_text(values['memory_bytes'])} at the peak, {bytes_text(values['free_memory_bytes'])} free"),
        (
            "expected time",
            f"{duration(values['expected_seconds'])} at {values['assumed_mfu']:.0%} of "
            f"{values['peak_flops_per_second'] / 1e12:.2f} TFLOP/s, evaluation not counted",
        ),
    ]
    return table(("", "value"), rows, left=2)
