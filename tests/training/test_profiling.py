"""A profile covers the steps it was asked for and names what takes their time."""

import json
from pathlib import Path

import torch

from tinylm.training.profiling import SKIPPED_STEPS, StepProfile
from tinylm.training.reports import ProfileReport


def work(profile: StepProfile, steps: int) -> list[ProfileReport]:
    """A loop that multiplies matrices once a step."""
    matrix = torch.randn(300, 300)
    reports = []
    for step in range(1, steps + 1):
        _ = matrix @ matrix
        reports += profile.step_done(step)
    return reports


def test_profile_of_some_steps(tmp_path: Path) -> None:
    """Three profiled steps, after those that are no guide, are three products, which take most of the time."""
    profile = StepProfile(3, tmp_path / "trace.json", torch.device("cpu"))
    (report,) = work(profile, SKIPPED_STEPS + 10)
    product = report.operations[0]
    assert (product.name, product.calls) == ("aten::mm", 3)
    assert product.share > 0.5
    assert 0 < product.seconds < 1
    assert [operation.share for operation in report.operations] == sorted(
        (operation.share for operation in report.operations), reverse=True
    )
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert sum(event.get("name") == "aten::mm" for event in events) == 3


def test_no_profile_costs_nothing(tmp_path: Path) -> None:
    """With 0 steps nothing is written or reported."""
    profile = StepProfile(0, tmp_path / "trace.json", torch.device("cpu"))
    assert work(profile, 9) == []
    profile.close()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_ends_early_leaves_what_there_is(tmp_path: Path) -> None:
    """Closing in the middle writes the trace of the steps that were made."""
    profile = StepProfile(50, tmp_path / "trace.json", torch.device("cpu"))
    assert work(profile, SKIPPED_STEPS + 5) == []
    profile.close()
    assert (tmp_path / "trace.json").is_file()
