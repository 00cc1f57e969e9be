"""A run's files: tolerant reading after a kill, exact rewinding, pruning."""

import json
from pathlib import Path

import pytest

from tinylm.training.run_directory import RunDirectory, flatten


def write_metrics(run: RunDirectory, text: str) -> None:
    """Put text into metrics.jsonl."""
    run.path.mkdir(exist_ok=True)
    run.metrics_file.write_text(text)


def test_half_written_last_line_is_left_out(tmp_path: Path) -> None:
    """A kill in the middle of a line costs that line only."""
    run = RunDirectory(tmp_path)
    write_metrics(run, '{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    assert run.metrics() == [{"step": 1, "loss": 2.0}]


def test_rewinding_keeps_what_the_checkpoint_covers(tmp_path: Path) -> None:
    """Lines after the step go, those up to it stay, evaluations included."""
    run = RunDirectory(tmp_path)
    lines = [
        {"step": 1, "loss": 3.0},
        {"step": 2, "loss": 2.0},
        {"step": 2, "valid_loss": 2.5},
        {"step": 3, "loss": 1.0},
    ]
    write_metrics(run, "".join(json.dumps(line) + "\n" for line in lines))
    run.rewind_metrics(2)
    assert run.metrics() == lines[:3]


def test_rewinding_a_new_run_makes_an_empty_log(tmp_path: Path) -> None:
    """Before the first step there is nothing to keep."""
    run = RunDirectory(tmp_path)
    run.rewind_metrics(0)
    assert run.metrics() == []


@pytest.mark.parametrize(
    ("newest", "keep", "left"),
    [(1000, 2, [100, 1000]), (1000, 9, [5, 10, 100, 1000]), (100, 2, [10, 100]), (5, 1, [5])],
)
def test_pruning_keeps_what_was_just_saved(newest: int, keep: int, left: list[int], tmp_path: Path) -> None:
    """It and those before it stay; later ones, which were too damaged to go on from, do not take their place."""
    run = RunDirectory(tmp_path)
    for step in (5, 10, 100, 1000):
        run.checkpoint(step).mkdir(parents=True)
    run.prune_checkpoints(newest, keep)
    assert sorted(run.checkpoints.iterdir()) == [run.checkpoint(step) for step in left]


def test_writer_removes_unfinished_checkpoints(tmp_path: Path) -> None:
    """What a killed process was writing goes; what it was about to replace comes back; nothing else is touched."""
    run = RunDirectory(tmp_path)
    for name in (".step-00000010.123.tmp", "step-00000010", ".step-00000020.123.old", ".step-00000020.123.tmp"):
        (run.checkpoints / name).mkdir(parents=True)
        (run.checkpoints / name / "name").write_text(name)
    (run.checkpoints / ".step-00000010.99.old").mkdir()
    (tmp_path / ".git").mkdir()
    with run.writer():
        assert sorted(run.checkpoints.iterdir()) == [run.checkpoint(10), run.checkpoint(20)]
    assert (run.checkpoint(10) / "name").read_text() == "step-00000010"
    assert (run.checkpoint(20) / "name").read_text() == ".step-00000020.123.old"
    assert (tmp_path / ".git").is_dir()


def test_flatten_names_leaves_by_path() -> None:
    """Nested tables become dotted keys."""
    assert flatten({"a": 1, "b": {"c": {"d": 2}}}) == {"a": 1, "b.c.d": 2}
