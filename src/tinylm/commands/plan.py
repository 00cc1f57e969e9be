"""What `tinylm train --dry-run` says: the run that would start here, and what it would cost."""

from typing import TYPE_CHECKING, Any

from tinylm.commands.console import Console, count_text, duration, table

if TYPE_CHECKING:
    from tinylm.configs.run import RunConfig

ASSUMED_MFU = {"cpu": 0.6, "cuda": 0.3, "mps": 0.3}
"""Share of the peak that training typically reaches, for the expected time; `tinylm train` reports the real one."""


def show_plan(config: "RunConfig", console: Console) -> None:
    """Check the inputs, settle every `auto`, and print cost and choices; nothing is built or written."""
    from tinylm.accounting.flops import training_flops
    from tinylm.accounting.parameters import count_parameters
    from tinylm.accounting.shape import ModelShape
    from tinylm.training.device import choose_execution
    from tinylm.training.inputs import load_inputs

    inputs = load_inputs(config)
    execution = choose_execution(config.train)
    shape = ModelShape.of(config.model)
    num_parameters = count_parameters(shape).total
    flops_per_step = training_flops(shape, config.train.batch_size)
    peak, mfu = execution.peak_flops(), ASSUMED_MFU[execution.device.type]
    step_seconds = flops_per_step / (peak * mfu)
    budget_seconds = execution.budget_seconds(config.train)
    steps = config.train.steps or max(1, int((budget_seconds or 0) / step_seconds))
    tokens = steps * config.train.batch_size * config.model.context_length
    seconds = steps * step_seconds
    values: dict[str, Any] = {
        "parameters": num_parameters,
        "steps": steps,
        "budget_seconds": budget_seconds,
        "tokens": tokens,
        "epochs": tokens / len(inputs.train.tokens),
        "tokens_per_parameter": tokens / num_parameters,
        "flops_per_step": flops_per_step,
        "flops": steps * flops_per_step,
        "device": str(execution.device),
        "precision": execution.precision,
        "compile": execution.compile,
        "peak_flops_per_second": peak,
        "assumed_mfu": mfu,
        "expected_seconds": seconds,
    }
    rows = [
        ("parameters", count_text(num_parameters)),
        (
            "training tokens",
            f"{len(inputs.train.tokens):,} on disk, {count_text(tokens)} seen ({values['epochs']:.1f} times)",
        ),
        ("tokens per parameter", f"{values['tokens_per_parameter']:.1f} (compute-optimal is about 20)"),
        ("steps", f"{steps:,}" + ("" if config.train.steps else f" or so, as many as fit into {duration(seconds)}")),
        ("FLOPs", f"{flops_per_step:.3e} a step, {values['flops']:.3e} in all"),
        ("expected time", f"{duration(seconds)} at {mfu:.0%} of {peak / 1e12:.2f} TFLOP/s, evaluation not counted"),
    ]
    text = "\n".join([table(("", "value"), rows, left=2), *execution.notes])
    console.result(values, text)
