"""Which plot a sweep gets, and what is on it."""

import dataclasses
import math
from typing import Any

import pytest

from tinylm.configs.sweep import load_sweep_config
from tinylm.experiments.report.sweep_plot import heat_map, loss_bars, plotted_key, sweep_plot
from tinylm.experiments.trials import TrialResult, plan_trials


def results_of(sweep: str) -> list[TrialResult]:
    """Of a shipped sweep, with a loss a trial."""
    return [
        TrialResult(trial.name, trial.values, "done", 1.0 + index, math.exp(1.0 + index), 1, 1.0, "")
        for index, trial in enumerate(plan_trials(load_sweep_config(sweep)))
    ]


def trial(loss: float | None, **values: Any) -> TrialResult:
    """A trial by settings."""
    named = {{"lr": "optim.lr", "batch": "train.batch_size"}.get(key, key): value for key, value in values.items()}
    return TrialResult(str(values), named, "diverged" if loss is None else "done", loss, None, 1, 1.0, "")


@pytest.mark.parametrize(
    ("sweep", "key"),
    [
        ("learning-rate", "optim.lr"),
        ("batch-size", "train.batch_size"),
        ("model-size", "parameters"),
        ("ablations", None),
    ],
)
def test_shipped_sweeps_are_plotted_over_what_they_sweep(sweep: str, key: str | None) -> None:
    """Rates over rates, sizes over parameters; ablations have no number and become bars."""
    assert plotted_key(results_of(sweep)) == key


def test_batch_sizes_make_two_lines() -> None:
    """Those with the base's rate and those with rates of their own, each over all its batch sizes, ascending."""
    plot = sweep_plot(results_of("batch-size"), {})
    assert plot is not None
    assert {line.name: [x for x, _ in line.points] for line in plot.lines} == {
        "as the base": [1, 8, 32, 128, 256, 512],
        "with lr and min_lr of their own": [1, 8, 32, 256, 512],
    }


def test_model_sizes_are_in_parameters() -> None:
    """One line, from the smallest model to the largest."""
    results = results_of("model-size")
    sizes = {result.name: 1000 - index for index, result in enumerate(results)}
    plot = sweep_plot(results, sizes)
    assert plot is not None
    (line,) = plot.lines
    assert [x for x, _ in line.points] == sorted(sizes.values())


@pytest.mark.parametrize("status", ["failed", "running", "waiting"])
def test_only_what_ended_is_plotted(status: str) -> None:
    """A crash, or a trial still to come, has no place on a plot; a divergence has, without a loss."""
    without = TrialResult("f", {"optim.lr": 3.0}, status, None, None, None, None, "")
    plot = sweep_plot([trial(1.0, lr=1.0), trial(None, lr=2.0), without], {})
    assert plot is not None
    assert [(x, result.valid_loss) for x, result in plot.lines[0].points] == [(1.0, 1.0), (2.0, None)]
    started = [dataclasses.replace(without, values={"optim.lr": lr}) for lr in (1.0, 2.0)]
    assert sweep_plot(started, {}) is None


def test_heat_map_of_a_full_grid() -> None:
    """Rows and columns in the order tried; the best cell has share 0, a diverged one none."""
    losses = {(1.0, 8): 2.0, (1.0, 16): 3.0, (2.0, 8): 4.0, (2.0, 16): None}
    found = heat_map([trial(loss, lr=lr, batch=batch) for (lr, batch), loss in losses.items()])
    assert found is not None
    assert (found.row_key, found.column_key, found.columns) == ("optim.lr", "train.batch_size", ["8", "16"])
    shares = {name: [cell.share for cell in cells] for name, cells in found.rows}
    assert shares == {"1": [0.0, 0.5], "2": [1.0, None]}


@pytest.mark.parametrize("sweep", ["learning-rate", "batch-size", "ablations"])
def test_no_heat_map_without_a_grid_of_two(sweep: str) -> None:
    """One key, or points that do not fill a grid, make none."""
    assert heat_map(results_of(sweep)) is None


def test_bars_compare_with_the_baseline() -> None:
    """The longest bar is the largest loss; percentages are against the baseline, wherever it is."""
    results = [
        TrialResult("other", {}, "done", 1.5, None, 1, 1.0, ""),
        TrialResult("baseline", {}, "done", 2.0, None, 1, 1.0, ""),
        TrialResult("worse", {}, "diverged", None, None, 1, 1.0, ""),
    ]
    bars = loss_bars(results)
    assert [(bar.name, bar.share, bar.text, bar.comparison) for bar in bars.bars] == [
        ("other", 0.75, "1.5000", "-25.0%"),
        ("baseline", 1.0, "2.0000", ""),
        ("worse", None, "diverged", ""),
    ]
    assert bars.note == "Percentages: against baseline."
