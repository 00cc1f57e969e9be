"""metrics.jsonl: which lines are written, and that each is valid JSON."""

import json
import math
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from tinylm.configs.loader import parse
from tinylm.configs.run import RunConfig
from tinylm.training.reports import EvaluationReport, StepReport
from tinylm.training.run_directory import RunDirectory
from tinylm.training.tracking import Tracker


def logged(tmp_path: Path, log_every: int, *reports: StepReport | EvaluationReport) -> list[dict[str, Any]]:
    """What ends up in metrics.jsonl."""
    values = {"data": {"train": "", "valid": "", "tokenizer": ""}, "train": {"log_every": log_every}}
    run = RunDirectory(tmp_path)
    with Tracker(run, parse(RunConfig, values, source="test")) as tracker:
        for report in reports:
            tracker.log(report)
    return [json.loads(line) for line in run.metrics_file.read_text().splitlines()]


def step(number: int, loss: float = 1.0) -> StepReport:
    """A report of a step."""
    return StepReport(number, loss, 1e-3, 1.0, 64, 1.0, 64.0, 0.5, 0.0, 10**9, None)


def test_log_every_thins_steps_but_not_evaluations(tmp_path: Path) -> None:
    """With log_every = 2 even steps are logged, and every evaluation."""
    lines = logged(tmp_path, 2, step(1), step(2), EvaluationReport(3, 2.0, 7.4, None, 64, None), step(3), step(4))
    assert [line["step"] for line in lines] == [2, 3, 4]


def test_non_finite_values_are_null(tmp_path: Path) -> None:
    """A NaN loss is logged as null: the line stays valid JSON for every reader."""
    assert logged(tmp_path, 1, step(1, math.nan))[0]["loss"] is None


def test_a_run_that_goes_on_is_one_run_of_wandbs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the id that it began with; one that starts over has another."""
    values = {"data": {"train": "", "valid": "", "tokenizer": ""}, "tracking": {"wandb": "offline"}}
    run, config, start = RunDirectory(tmp_path), parse(RunConfig, values, source="test"), Mock()
    monkeypatch.setattr("wandb.init", start)
    for _ in range(2):
        with Tracker(run, config):
            pass
    run.clear()
    with Tracker(run, config):
        pass
    first, second, third = (call.kwargs["id"] for call in start.call_args_list)
    assert first == second != third
