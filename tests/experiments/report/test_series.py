"""Learning curves thinned for a page."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinylm.accounting.flops import training_flops
from tinylm.accounting.shape import ModelShape
from tinylm.experiments.report.series import MOST_POINTS, read_series, thinned
from tinylm.training.run_directory import RunDirectory


@given(st.integers(0, 2000), st.integers(2, 400))
def test_thinning_keeps_the_ends(num_points: int, most: int) -> None:
    """At most so many points remain, in order, the first and the last among them."""
    points = [(step, float(step)) for step in range(num_points)]
    kept = thinned(points, most)
    assert len(kept) == min(num_points, most)
    assert kept == sorted(set(kept))
    assert kept[:1] == points[:1]
    assert kept[-1:] == points[-1:]


def test_series_of_a_run(written: Any) -> None:
    """Steps with their seconds, evaluations with the seconds of their step, and what a step costs."""
    series = read_series("run", written.run)
    config = RunDirectory(written.run).config()
    assert (series.steps[0], series.steps[-1], len(series.steps)) == (1, 200, 200)
    assert series.seconds == [step / 10 for step in series.steps]
    assert (series.valid_steps, series.valid_seconds) == ([50, 100, 150, 200], [5.0, 10.0, 15.0, 20.0])
    assert series.tokens_per_step == 2 * 256
    assert series.flops_per_step == training_flops(ModelShape.of(config.model), 2)


def test_evaluations_between_logged_steps_have_a_time(written: Any, tmp_path: Path) -> None:
    """Where not every step is logged, theirs is worked out from the steps around, and from the end of the run."""
    run = shutil.copytree(written.run, tmp_path / "run")
    records = RunDirectory(run).metrics()
    logged = [record for record in records if "valid_loss" in record or record["step"] % 70 == 0]
    (run / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in logged))
    series = read_series("run", run)
    assert series.steps == [70, 140]
    assert series.valid_seconds == pytest.approx([5.0, 10.0, 15.0, 20.0])


def test_a_diverged_run_ends_where_its_loss_does(written: Any) -> None:
    """The step without a finite loss is not drawn."""
    series = read_series("lr=0.01", written.rates / "lr=0.01")
    assert series.steps[-1] == 100
    assert len(series.losses) == len(series.steps)


def test_many_runs_share_the_page(written: Any) -> None:
    """The more runs on a page, the fewer points each has."""
    assert len(read_series("run", written.run, num_series=1000).steps) == 20
    assert len(json.dumps(read_series("run", written.run).losses)) < 10 * MOST_POINTS
