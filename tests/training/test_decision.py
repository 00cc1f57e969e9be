"""A command on a run that exists: what it finds there decides, and until everything is checked nothing is written."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tinylm.configs.loader import load_run_config
from tinylm.errors import TinylmError, UsageError
from tinylm.training.reports import CheckpointReport, EndReport, EvaluationReport, Report, StepReport
from tinylm.training.run import train_run
from tinylm.training.run_directory import RunDirectory
from tinylm.training.session import Session


def train(
    prepared: Path, run: Path, *overrides: str, force: bool = False, stop_after: int | None = None
) -> list[Report]:
    """All that a run of the prepared configuration reports; it is asked to stop after so many steps."""
    config = load_run_config(prepared / "config.toml", overrides)
    asked = iter([False] * ((stop_after or 10**6) - 1))
    return list(train_run(config, run, force=force, should_stop=lambda: next(asked, True)))


def end(records: list[Report]) -> EndReport:
    """The last report."""
    assert isinstance(records[-1], EndReport)
    return records[-1]


def kinds(records: list[Report]) -> set[type]:
    """Of what a run reports."""
    return {type(record) for record in records}


def files(directory: Path) -> dict[str, bytes]:
    """Everything in a directory, by relative path, but for the lock."""
    paths = (path for path in directory.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(directory)): path.read_bytes() for path in paths}


class Killed(BaseException):
    """What a killed process does not handle."""


@pytest.mark.parametrize("force", [False, True], ids=["longer", "force"])
def test_a_killed_continuation_leaves_no_summary_of_before(
    force: bool, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the process dies after the configuration is the new one, there is no summary beside it."""
    train(prepared, tmp_path / "run")
    monkeypatch.setattr(Session, "reports", _die)
    with pytest.raises(Killed):
        train(prepared, tmp_path / "run", "train.steps=20", force=force)
    run = RunDirectory(tmp_path / "run")
    assert run.config().train.steps == 20
    assert run.summary() is None


@pytest.mark.parametrize("force", [False, True], ids=["longer", "force"])
def test_the_summary_goes_before_the_settings_change(
    force: bool, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed just before the new configuration is written, a run has the old one and no summary, and goes on."""
    train(prepared, tmp_path / "run")
    monkeypatch.setattr(RunDirectory, "write_config", _die)
    with pytest.raises(Killed):
        train(prepared, tmp_path / "run", "train.steps=20", force=force)
    monkeypatch.undo()
    run = RunDirectory(tmp_path / "run")
    assert (run.config().train.steps, run.summary()) == (12, None)
    assert end(train(prepared, tmp_path / "run", "train.steps=20")).steps == 20


def _die(*_: object, **__: object) -> None:
    raise Killed


def test_other_data_is_refused_and_the_run_left_alone(prepared: Path, tmp_path: Path) -> None:
    """Made anew under the same names, tokenizer and token files are refused; the run's own tokenizer stays."""
    data = tmp_path / "data"
    shutil.copytree(prepared, data)
    config = data / "config.toml"
    config.write_text(config.read_text().replace(str(prepared), str(data)))
    train(data, tmp_path / "stopped", stop_after=7)
    train(data, tmp_path / "done")
    before = {name: files(tmp_path / name) for name in ("stopped", "done")}
    _learn_anew(data)
    for name in ("stopped", "done"):
        with pytest.raises(UsageError, match="started on other data"):
            train(data, tmp_path / name, "train.steps=30")
        assert files(tmp_path / name) == before[name]


def _learn_anew(data: Path) -> None:
    """Another tokenizer, and the same texts as its tokens, in place of those in `data`."""
    from typer.testing import CliRunner

    from tinylm.cli import app

    lines = ["train-bpe {0}/valid.txt --vocab-size 290 --out {0}/tokenizer --force"]
    lines += [f"encode {{0}}/{name}.txt --tokenizer {{0}}/tokenizer --out {{0}}/{name}.npy --force" for name in NAMES]
    for line in lines:
        result = CliRunner().invoke(app, line.format(data).split())
        assert result.exit_code == 0, result.output


NAMES = ("train", "valid")


@pytest.mark.parametrize("stop_after", [None, 10], ids=["done", "stopped"])
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.steps=9", "beyond train.steps 9"),
        ("optim.lr=0.5", "optim.lr was 0.01, now 0.5"),
    ],
    ids=["shorter", "other settings"],
)
def test_a_refused_command_changes_nothing(
    override: str, message: str, stop_after: int | None, prepared: Path, tmp_path: Path
) -> None:
    """A run that is further, or another one, is left as it was to the byte, finished or not."""
    train(prepared, tmp_path / "run", stop_after=stop_after)
    before = files(tmp_path / "run")
    with pytest.raises(UsageError, match=re.escape(message)):
        train(prepared, tmp_path / "run", override)
    assert files(tmp_path / "run") == before


def test_a_lowered_budget_is_refused_but_an_exceeded_one_is_not(prepared: Path, tmp_path: Path) -> None:
    """A budget below the time used is refused if it is new; a run whose summary a kill took ends under its own."""
    used = end(train(prepared, tmp_path / "run", "train.budget_seconds=0.3")).seconds
    before = files(tmp_path / "run")
    with pytest.raises(UsageError, match="beyond its new budget"):
        train(prepared, tmp_path / "run", "train.budget_seconds=0.01")
    assert files(tmp_path / "run") == before
    (tmp_path / "run" / "summary.json").unlink()
    assert end(train(prepared, tmp_path / "run", "train.budget_seconds=0.3")).seconds == used


@pytest.mark.parametrize("override", ["train.eval_batches=3", "train.final_eval=full", "data.valid={}/train.npy"])
def test_a_finished_run_is_evaluated_as_asked(override: str, prepared: Path, tmp_path: Path) -> None:
    """Other settings of the last evaluation give their loss without a step, and are then the run's."""
    override = override.format(prepared)
    first = end(train(prepared, tmp_path / "run"))
    records = train(prepared, tmp_path / "run", override)
    expected = end(train(prepared, tmp_path / "undisturbed", override))
    assert kinds(records) >= {EvaluationReport, CheckpointReport}
    assert StepReport not in kinds(records)
    assert end(records).valid_loss == expected.valid_loss != first.valid_loss
    assert end(records).seconds == first.seconds
    run = RunDirectory(tmp_path / "run")
    assert run.config() == RunDirectory(tmp_path / "undisturbed").config()
    assert run.summary() == {"schema": 1} | json.loads(json.dumps(_values(end(records))))
    assert kinds(train(prepared, tmp_path / "run", override)) == {EndReport}


def _values(report: EndReport) -> dict[str, object]:
    return {name: getattr(report, name) for name in EndReport.__slots__}


def test_settings_without_influence_on_the_result_are_taken_over(prepared: Path, tmp_path: Path) -> None:
    """A finished run that is to log less is finished still, under the new settings."""
    first = end(train(prepared, tmp_path / "run"))
    assert train(prepared, tmp_path / "run", "train.log_every=5") == [first]
    assert RunDirectory(tmp_path / "run").config().train.log_every == 5


@pytest.mark.parametrize("final_eval", ["sampled", "full"])
def test_a_run_that_was_stopped_where_it_now_ends_is_evaluated(final_eval: str, prepared: Path, tmp_path: Path) -> None:
    """Stopped at step 9 of 12, last evaluated after step 6, and resumed as a run of 9 steps: the loss is step 9's."""
    constant = ["schedule.kind=constant", f"train.final_eval={final_eval}"]
    assert end(train(prepared, tmp_path / "run", *constant, stop_after=9)).steps == 9
    records = train(prepared, tmp_path / "run", *constant, "train.steps=9")
    expected = end(train(prepared, tmp_path / "undisturbed", *constant, "train.steps=9"))
    (evaluation,) = [record for record in records if isinstance(record, EvaluationReport)]
    assert evaluation.step == 9
    assert (end(records).valid_loss, end(records).valid_tokens) == (expected.valid_loss, expected.valid_tokens)
    assert kinds(train(prepared, tmp_path / "run", *constant, "train.steps=9")) == {EndReport}


def test_a_finished_run_without_its_checkpoints(prepared: Path, tmp_path: Path) -> None:
    """It still says what it came to, and is not trained from the start for another wish."""
    first = end(train(prepared, tmp_path / "run"))
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    before = files(tmp_path / "run")
    assert train(prepared, tmp_path / "run") == [first]
    with pytest.raises(TinylmError, match="no usable checkpoint"):
        train(prepared, tmp_path / "run", "train.steps=20")
    assert files(tmp_path / "run") == before


def test_a_moved_run_says_where_it_is(prepared: Path, tmp_path: Path) -> None:
    """The result of a finished run names the directory in which it was found."""
    train(prepared, tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    assert end(train(prepared, tmp_path / "new")).run == str(tmp_path / "new")


def test_an_interrupted_clearing_can_be_repeated(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while --force removes an earlier run, the same command starts over."""
    train(prepared, tmp_path / "run")
    monkeypatch.setattr("tinylm.training.run_directory.shutil.rmtree", _die)
    with pytest.raises(Killed):
        train(prepared, tmp_path / "run", "optim.lr=0.02", force=True)
    monkeypatch.undo()
    assert end(train(prepared, tmp_path / "run", "optim.lr=0.02", force=True)).status == "done"


def test_a_checkpoint_is_not_pruned_for_damaged_later_ones(prepared: Path, tmp_path: Path) -> None:
    """Resumed behind two damaged checkpoints, a run that keeps one keeps the one that it has just saved."""
    run = RunDirectory(tmp_path / "run")
    train(prepared, run.path, "train.save_every=4", "train.keep_checkpoints=9")
    run.summary_file.unlink()
    for step in (8, 12):
        (run.checkpoint(step) / "model.safetensors").write_bytes(b"torn")
    records = train(prepared, run.path, "train.save_every=0", "train.keep_checkpoints=1", stop_after=2)
    assert end(records).steps == 6
    assert list(run.checkpoints.iterdir()) == [run.checkpoint(6)]
    assert end(train(prepared, run.path)).status == "done"
