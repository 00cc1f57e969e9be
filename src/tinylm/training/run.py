"""A training run from configuration to summary."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tinylm.configs.run import RunConfig, TrainConfig
from tinylm.training.device import choose_execution
from tinylm.training.inputs import load_inputs
from tinylm.training.memory import require_memory
from tinylm.training.reports import EndReport, Report
from tinylm.training.run_directory import RunDirectory
from tinylm.training.session import Session


def train_run(
    config: RunConfig,
    path: str | Path,
    *,
    force: bool = False,
    should_stop: Callable[[], bool] = lambda: False,
    profile_steps: int = 0,
) -> Iterator[Report]:
    """Train in the run directory `path`, going on where an earlier invocation ended; the last record is an EndReport.

    `should_stop` is asked after every step; when it says yes, a checkpoint is saved and the run ends as `stopped`.
    A run that is already complete yields its EndReport at once. With `force` it starts over. With `profile_steps` so
    many steps are profiled once the first ones are over.

    Raises: TinylmError when inputs or memory do not fit, another process writes this run, or no checkpoint is usable.
    """
    inputs = load_inputs(config)
    execution = choose_execution(config.train)
    require_memory(config, execution)
    run = RunDirectory(path)
    with run.writer():
        run.adopt(config, force=force)
        ended = _earlier_end(run, config)
        if ended is not None:
            yield ended
            return
        inputs.tokenizer.save(run.tokenizer)
        yield from Session(config, run, inputs, execution, profile_steps).reports(should_stop)


def _earlier_end(run: RunDirectory, config: RunConfig) -> EndReport | None:
    summary = run.summary()
    if summary is None or summary["status"] == "stopped":
        return None
    if summary["status"] == "done" and not _long_enough(summary, config.train):
        return None
    fields = {field.name for field in dataclasses.fields(EndReport)}
    return EndReport(**{key: value for key, value in summary.items() if key in fields})


def _long_enough(summary: Mapping[str, Any], train: TrainConfig) -> bool:
    """Whether a complete run is as long as a configuration asks for."""
    if train.steps is not None:
        return bool(summary["steps"] >= train.steps)
    budgets = ("budget_seconds", "budget_h100_hours")
    return any((summary[key] or 0) >= (getattr(train, key) or math.inf) for key in budgets)
