"""A run's learning curve as a page draws it: few enough points to keep the page small."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinylm.accounting.flops import training_flops
from tinylm.accounting.shape import ModelShape
from tinylm.training.curves import Metrics, Points, curves
from tinylm.training.run_directory import RunDirectory

MOST_POINTS = 300
MOST_POINTS_ON_A_PAGE = 20_000


@dataclass(frozen=True, slots=True)
class Series:
    """Losses of one run against steps and seconds; tokens and FLOPs are so many a step."""

    name: str
    steps: list[int]
    seconds: list[float]
    losses: list[float]
    """Training loss, smoothed over three percent of the run."""
    valid_steps: list[int]
    valid_seconds: list[float]
    valid_losses: list[float]
    tokens_per_step: int
    flops_per_step: int


def read_series(name: str, path: Path, *, num_series: int = 1) -> Series:
    """The learning curve of a run, one of so many on a page."""
    run = RunDirectory(path)
    config, metrics = run.config(), run.metrics()
    _, smoothed, valid = curves(metrics)
    known = seconds_by_step(metrics, run.summary())
    train = thinned(smoothed, min(MOST_POINTS, MOST_POINTS_ON_A_PAGE // num_series))
    return Series(
        name=name,
        steps=[step for step, _ in train],
        seconds=seconds_at(train, known),
        losses=[round(loss, 5) for _, loss in train],
        valid_steps=[step for step, _ in valid],
        valid_seconds=seconds_at(valid, known),
        valid_losses=[round(loss, 5) for _, loss in valid],
        tokens_per_step=config.train.batch_size * config.model.context_length,
        flops_per_step=training_flops(ModelShape.of(config.model), config.train.batch_size),
    )


def seconds_by_step(metrics: Metrics, summary: Mapping[str, Any] | None) -> dict[int, float]:
    """Training time after those steps of which it is known, ascending: the logged ones, and both ends of the run."""
    seconds = {0: 0.0} | {record["step"]: record["seconds"] for record in metrics if "seconds" in record}
    if summary:
        seconds[summary["steps"]] = summary["seconds"]
    return dict(sorted(seconds.items()))


def seconds_at(points: Points, known: Mapping[int, float]) -> list[float]:
    """Training time after each point's step; in between, steps take equally long."""
    seconds = np.interp([step for step, _ in points], list(known), list(known.values()))
    return [round(float(one), 3) for one in seconds]


def thinned(points: Points, most: int) -> Points:
    """At most so many of the points, evenly spread, the first and the last among them."""
    if len(points) <= most:
        return points
    return [points[round(index * (len(points) - 1) / (most - 1))] for index in range(most)]
