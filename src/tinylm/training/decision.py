"""What a command finds in a run directory, and what follows from it. Only reads: a refused command changes nothing."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinylm.configs.run import RunConfig, TrainConfig
from tinylm.errors import TinylmError, UsageError
from tinylm.training.checkpoint import read_state, read_step
from tinylm.training.device import Execution
from tinylm.training.inputs import Inputs
from tinylm.training.length import asked_length
from tinylm.training.reports import EndReport
from tinylm.training.run_directory import RunDirectory


@dataclass(frozen=True, slots=True)
class Ended:
    """The run is over, and its figures answer what is asked."""

    end: EndReport


@dataclass(frozen=True, slots=True)
class Fresh:
    """There is nothing to go on from, or it is not wanted."""


@dataclass(frozen=True, slots=True)
class Resume:
    """The run goes on, were it only to be evaluated in another way."""

    checkpoint: Path
    damaged: tuple[str, ...]
    """What is wrong with each later checkpoint."""


Decision = Ended | Fresh | Resume


def decide(
    run: RunDirectory, config: RunConfig, inputs: Inputs, execution: Execution, *, force: bool = False
) -> Decision:
    """How to come to what `config` asks for; with `force`, by starting over.

    Raises: UsageError when the directory holds something else, or another run; TinylmError when all its checkpoints
    are damaged or gone.
    """
    run.refuse_foreign_files()
    if force or not run.config_file.is_file():
        return Fresh()
    run.refuse_other_settings(config)
    checkpoint, damaged = run.newest_checkpoint()
    saved = read_state(checkpoint) if checkpoint else None
    if checkpoint and saved:
        if saved["data"] != inputs.train_content():
            raise UsageError(f"{run.path}: started on other data; choose another --out, or --force")
        _refuse_shorter(run, config.train, execution, read_step(checkpoint), saved["progress"]["seconds"])
    end = _earlier_end(run, config, inputs, saved)
    if end:
        return Ended(end)
    if checkpoint:
        return Resume(checkpoint, tuple(damaged))
    if damaged or run.summary():
        raise TinylmError(
            f"{run.path}: no usable checkpoint ({'; '.join(damaged) or 'all are gone'}); --force starts over"
        )
    return Fresh()


def _refuse_shorter(run: RunDirectory, train: TrainConfig, execution: Execution, step: int, seconds: float) -> None:
    """Raises: UsageError when the run is longer already; a last step may exceed a budget that was not lowered."""
    if train.steps is not None and step > train.steps:
        raise UsageError(
            f"{run.path}: already at step {step}, beyond train.steps {train.steps}; choose another --out, or --force"
        )
    budget = execution.budget_seconds(train)
    if budget is None or budget >= seconds:
        return
    if budget < (execution.budget_seconds(run.config().train) or math.inf):
        raise UsageError(
            f"{run.path}: already trained for {seconds:,.1f} s, beyond its new budget of {budget:,.1f} s; "
            "choose another --out, or --force"
        )


def _earlier_end(
    run: RunDirectory, config: RunConfig, inputs: Inputs, saved: Mapping[str, Any] | None
) -> EndReport | None:
    """The summary of a run that has ended as `config` wants it."""
    summary = run.summary()
    if summary is None or summary["status"] == "stopped":
        return None
    if summary["status"] == "done" and not _is_answered(run, summary, config, inputs, saved):
        return None
    fields = {field.name for field in dataclasses.fields(EndReport)}
    values = {key: value for key, value in summary.items() if key in fields}
    return EndReport(**values | {"run": str(run.path)})


def _is_answered(
    run: RunDirectory,
    summary: Mapping[str, Any],
    config: RunConfig,
    inputs: Inputs,
    saved: Mapping[str, Any] | None,
) -> bool:
    """Whether a complete run is as long as asked for, and was evaluated at its end as asked for."""
    if saved is None:
        return run.config() == config
    asked = asked_length(config.train)
    as_long = any(length is not None and summary.get(key) == length for key, length in asked.items())
    wanted = inputs.final_evaluation(config.train)
    return as_long and bool(saved.get("evaluated_on", wanted) == wanted)
