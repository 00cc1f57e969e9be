"""A run's learning curve as a page draws it: few enough points to keep the page small."""

from dataclasses import dataclass
from pathlib import Path

from tinylm.accounting.flops import training_flops
from tinylm.accounting.shape import ModelShape
from tinylm.training.curves import Points, curves
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
    seconds = {record["step"]: record["seconds"] for record in metrics if "seconds" in record}
    train = thinned(smoothed, min(MOST_POINTS, MOST_POINTS_ON_A_PAGE // num_series))
    return Series(
        name=name,
        steps=[step for step, _ in train],
        seconds=[round(seconds[step], 3) for step, _ in train],
        losses=[round(loss, 5) for _, loss in train],
        valid_steps=[step for step, _ in valid],
        valid_seconds=[round(seconds.get(step, 0.0), 3) for step, _ in valid],
        valid_losses=[round(loss, 5) for _, loss in valid],
        tokens_per_step=config.train.batch_size * config.model.context_length,
        flops_per_step=training_flops(ModelShape.of(config.model), config.train.batch_size),
    )


def thinned(points: Points, most: int) -> Points:
    """At most so many of the points, evenly spread, the first and the last among them."""
    if len(points) <= most:
        return points
    return [points[round(index * (len(points) - 1) / (most - 1))] for index in range(most)]
