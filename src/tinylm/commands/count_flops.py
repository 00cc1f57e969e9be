"""`tinylm count-flops`: parameters and FLOPs of a model, time and money of training it."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from tinylm.accounting.elementwise import elementwise_forward_flops
from tinylm.accounting.flops import ForwardFlops, forward_flops, training_flops, training_flops_per_token
from tinylm.accounting.optimizers import optimizer_flops
from tinylm.accounting.parameters import count_parameters
from tinylm.accounting.run_cost import Machine, chinchilla_steps, run_cost, steps_within
from tinylm.commands import flops_report, options
from tinylm.commands.console import Console
from tinylm.commands.machine import named_machine, this_machine
from tinylm.commands.planned import Planned, planned_runs
from tinylm.errors import UsageError

Steps = Annotated[int | None, typer.Option(min=1, help="Steps of a run to cost.")]
Device = Annotated[str | None, typer.Option(metavar="NAME", help="Time it on this device: a100, h100, rtx 4090, ...")]
Measure = Annotated[bool, typer.Option("--measure", help="Time it on this machine, after timing a matrix product.")]
Mfu = Annotated[float, typer.Option(min=0.001, max=1.0, help="Share of the device's peak that training reaches.")]
Price = Annotated[float | None, typer.Option("--price", min=0.0, help="Dollars per device-hour.")]
Budget = Annotated[float | None, typer.Option(min=0.0, help="Device-hours to spend: how many steps fit.")]


def count_flops(
    preset: options.Presets = None,
    config: options.Config = None,
    overrides: options.Set = None,
    context_length: options.ContextLengths = None,
    batch_size: options.BatchSize = None,
    steps: Steps = None,
    device: Device = None,
    measure: Measure = False,
    precision: options.Precision = "auto",
    mfu: Mfu = 0.4,
    price: Price = None,
    budget_hours: Budget = None,
    explain: options.Explain = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Count a model's parameters and FLOPs, exactly, and what training it takes.

    Several --preset or --context-length are compared side by side.

    Examples:

      tinylm count-flops --preset gpt2-xl --context-length 1024 --context-length 4096

      tinylm count-flops --config owt --device h100 --mfu 0.3 --price 2.50
    """
    console = Console(json=json, quiet=quiet)
    plans = planned_runs(preset, config, overrides, context_length)
    precision = plans[0].precision if precision == "auto" else precision
    machine = chosen_machine(device, measure, precision, mfu, price)
    if machine is None and (price is not None or budget_hours is not None):
        raise UsageError("dollars and budgets follow from time: add --device NAME or --measure")
    records = [
        model_record(plan, batch_size or 1) | training_record(plan, batch_size, steps, machine, budget_hours)
        for plan in plans
    ]
    explained = plans[0].shape if explain else None
    if len(records) == 1:
        console.result(records[0], flops_report.one_model(records[0], explained))
    else:
        console.result({"models": records}, flops_report.comparison(records, explained))


def chosen_machine(
    device: str | None, measure: bool, precision: options.PrecisionName, mfu: float, price: float | None
) -> Machine | None:
    """What times are reckoned for, if any was asked for."""
    if measure and device:
        raise UsageError("--measure times this machine; leave out --device")
    if measure:
        return this_machine(precision, mfu, price)
    return named_machine(device, precision, mfu, price) if device else None


def model_record(plan: Planned, batch_size: int) -> dict[str, Any]:
    """Parameters, and FLOPs of a forward pass over `batch_size` sequences in both conventions."""
    shape = plan.shape
    dense = forward_flops(shape, batch_size)
    return {
        "model": plan.name,
        "shape": asdict(shape),
        "batch_size": batch_size,
        "parameters": asdict(count_parameters(shape)),
        "forward_flops": with_total(dense),
        "forward_flops_causal": with_total(forward_flops(shape, batch_size, "causal")),
        "forward_share": {name: flops / dense.total for name, flops in with_total(dense).items()},
        "elementwise_forward_flops": elementwise_forward_flops(shape, batch_size),
    }


def with_total(flops: ForwardFlops) -> dict[str, int]:
    """Components and their sum."""
    return {**asdict(flops), "total": flops.total}


def training_record(
    plan: Planned, batch_size: int | None, steps: int | None, machine: Machine | None, budget_hours: float | None
) -> dict[str, Any]:
    """FLOPs of a training step, and what runs cost: the one asked for, the compute-optimal one, the affordable one."""
    shape, batch_size, steps = plan.shape, batch_size or plan.batch_size, steps or plan.steps
    forward, step = forward_flops(shape, batch_size).total, training_flops(shape, batch_size)
    lengths = {"run": steps, "chinchilla": chinchilla_steps(shape, batch_size)}
    if machine and budget_hours is not None:
        lengths["budget"] = steps_within(shape, batch_size, budget_hours, machine)
    return {
        "training": {
            "batch_size": batch_size,
            "tokens_per_step": batch_size * shape.context_length,
            "flops_per_token": training_flops_per_token(shape),
            "flops_per_token_causal": training_flops_per_token(shape, "causal"),
            "forward_flops_per_step": forward,
            "backward_flops_per_step": step - forward,
            "flops_per_step": step,
            "optimizer": plan.optimizer,
            "optimizer_flops_per_step": optimizer_flops(shape, plan.optimizer),
            "seconds_per_step": step / machine.flops_per_second if machine else None,
        },
        "machine": asdict(machine) if machine else None,
        "runs": {name: asdict(run_cost(shape, batch_size, n, machine)) for name, n in lengths.items() if n is not None},
    }
