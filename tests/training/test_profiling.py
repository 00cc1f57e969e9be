"""A profile covers the steps it was asked for and names what takes their time."""

import json
from pathlib import Path

import torch

from tinylm.training.profiling import SKIPPED_STEPS, StepProfile
from tinylm.training.reports import NoteReport, ProfileReport


def work(profile: StepProfile, steps: int) -> list[ProfileReport | NoteReport]:
    """A loop that multiplies matrices once a step."""
    matrix = torch.randn(300, 300)
    reports: list[ProfileReport | NoteReport] = []
    for step in range(1, steps + 1):
        _ = matrix @ matrix
        reports += profile.step_done(step, last=step == steps)
    return reports


def test_profile_of_some_steps(tmp_path: Path) -> None:
    """Three profiled steps, after those that are no guide, are three products, which take most of the time."""
    profile = StepProfile(3, tmp_path / "trace.json", torch.device("cpu"))
    (report,) = work(profile, SKIPPED_STEPS + 10)
    assert isinstance(report, ProfileReport)
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


def test_a_run_that_ends_early_reports_what_there_is(tmp_path: Path) -> None:
    """The last step of all closes a profile that wanted more, with the products that were made until then."""
    (report,) = work(StepProfile(50, tmp_path / "trace.json", torch.device("cpu")), SKIPPED_STEPS + 5)
    assert isinstance(report, ProfileReport)
    assert (report.operations[0].name, report.operations[0].calls) == ("aten::mm", 4)
    assert (tmp_path / "trace.json").is_file()


def test_a_run_that_ends_before_its_profile_says_so(tmp_path: Path) -> None:
    """There is no table of nothing."""
    (report,) = work(StepProfile(50, tmp_path / "trace.json", torch.device("cpu")), SKIPPED_STEPS)
    assert isinstance(report, NoteReport)
    assert "nothing was profiled" in report.text


def test_an_error_leaves_what_there_is(tmp_path: Path) -> None:
    """Closing in the middle writes the trace of the steps that were made."""
    profile = StepProfile(50, tmp_path / "trace.json", torch.device("cpu"))
    assert [list(profile.step_done(step)) for step in range(SKIPPED_STEPS + 5)] == [[]] * (SKIPPED_STEPS + 5)
    profile.close()
    assert (tmp_path / "trace.json").is_file()
