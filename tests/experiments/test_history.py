"""Finding runs, and choosing among them."""

import json
from pathlib import Path

import pytest
from filelock import FileLock

from tinylm.errors import ConfigError, UsageError
from tinylm.experiments.history import RunRecord, conditions, filtered, find_runs, read_run

CONFIG = '[data]\ntrain = "t"\nvalid = "v"\ntokenizer = "k"\n[optim]\nlr = {lr}\n'


def make_run(path: Path, *, lr: float = 1e-3, **summary: object) -> Path:
    """A run directory with a configuration and perhaps a summary."""
    path.mkdir(parents=True)
    (path / "config.toml").write_text(CONFIG.format(lr=lr))
    (path / "metrics.jsonl").touch()
    if summary:
        (path / "summary.json").write_text(json.dumps({"status": "done", **summary}))
    return path


def record(name: str, loss: float | None, *, status: str = "done", lr: float = 1e-3) -> RunRecord:
    """A run as it is read."""
    return RunRecord(Path(name), status, {"optim": {"lr": lr}}, 1, {"valid_loss": loss, "steps": 5})


def test_runs_are_found_at_any_depth(tmp_path: Path) -> None:
    """In a directory of runs, below it in a sweep, and the directory itself; never inside a run or hidden."""
    runs = [make_run(tmp_path / name) for name in ("a", "sweep/lr=1", "sweep/lr=2")]
    make_run(tmp_path / "a" / "checkpoints" / "nested")
    make_run(tmp_path / ".cache" / "hidden")
    (tmp_path / "sweep" / "configs").mkdir()
    (tmp_path / "sweep" / "configs" / "lr=1.toml").write_text("")
    assert list(find_runs(tmp_path)) == runs
    assert list(find_runs(runs[0])) == [runs[0]]


def test_status_of_a_run_without_summary(tmp_path: Path) -> None:
    """Running while its lock is held, unfinished after; the last logged step tells how far it is."""
    run = make_run(tmp_path / "run")
    (run / "metrics.jsonl").write_text('{"step": 7, "loss": 3.0, "tokens": 70, "seconds": 1.5}\n')
    with FileLock(run / ".lock"):
        assert read_run(run).status == "running"
    unfinished = read_run(run)
    assert unfinished.status == "unfinished"
    assert (unfinished.figures["steps"], unfinished.figures["tokens"]) == (7, 70)


def test_a_broken_configuration_is_named(tmp_path: Path) -> None:
    """A run of another version, say, is no reason for a traceback."""
    run = make_run(tmp_path / "run")
    (run / "config.toml").write_text("[data]\nold = 1\n")
    with pytest.raises(ConfigError, match=r"data\.old: no such key"):
        read_run(run)


def test_best_first() -> None:
    """By validation loss; those without one, and those that diverged after a good start, come last."""
    runs = [record("none", None), record("b", 3.0), record("diverged", 1.0, status="diverged"), record("a", 2.0)]
    assert [str(run.path) for run in filtered(runs, {}, None)] == ["a", "b", "none", "diverged"]


def test_filters_by_setting_figure_and_status() -> None:
    """Numbers are compared as numbers, and all conditions must hold."""
    runs = [record("a", 2.0, lr=1e-3), record("b", 3.0, lr=2e-3), record("c", 4.0, lr=1e-3, status="stopped")]
    assert [str(run.path) for run in filtered(runs, conditions(["optim.lr=0.001"]), None)] == ["a", "c"]
    assert [str(run.path) for run in filtered(runs, conditions(["optim.lr=1e-3", "steps=5"]), "done")] == ["a"]
    assert filtered(runs, conditions(["optim.lr=5"]), None) == []


def test_an_unknown_key_is_a_mistake() -> None:
    """A key that no run has is named with a suggestion, rather than an empty list shown."""
    with pytest.raises(UsageError, match=r"no run has 'optim\.lrr'; did you mean 'optim\.lr'"):
        filtered([record("a", 2.0)], conditions(["optim.lrr=1"]), None)
    with pytest.raises(UsageError, match="is not of the form KEY=VALUE"):
        conditions(["optim.lr"])
