"""The end of metrics.jsonl, read while it is written."""

import json
from pathlib import Path

from filelock import FileLock

from tinylm.experiments.progress import TAIL_BYTES, is_being_written, latest_step


def test_latest_step_is_the_last_whole_line(tmp_path: Path) -> None:
    """Evaluations and a line cut short are passed over, however long the file is."""
    file = tmp_path / "metrics.jsonl"
    lines = [json.dumps({"step": step, "loss": 1 / step}) for step in range(1, 1001)]
    file.write_text("\n".join([*lines, json.dumps({"step": 1000, "valid_loss": 2.0}), '{"step": 1001, "lo']))
    assert file.stat().st_size > TAIL_BYTES
    assert latest_step(file) == {"step": 1000, "loss": 1 / 1000}


def test_a_line_that_is_just_being_written_does_not_count(tmp_path: Path) -> None:
    """Without its line break, a line may not be all."""
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"step": 1, "loss": 3.0}\n{"step": 2, "loss": 2.0}')
    assert latest_step(file) == {"step": 1, "loss": 3.0}


def test_nothing_yet(tmp_path: Path) -> None:
    """Before the first step there is none."""
    file = tmp_path / "metrics.jsonl"
    assert latest_step(file) is None
    file.write_text("")
    assert latest_step(file) is None


def test_a_run_is_being_written_while_its_lock_is_held(tmp_path: Path) -> None:
    """Not before, and not after."""
    assert not is_being_written(tmp_path)
    with FileLock(tmp_path / ".lock"):
        assert is_being_written(tmp_path)
    assert not is_being_written(tmp_path)


def test_a_lock_that_cannot_be_opened_is_held_by_nobody_here(tmp_path: Path) -> None:
    """On a read-only mount, or in another user's run; a directory in its place fails for every user."""
    (tmp_path / ".lock").mkdir()
    assert not is_being_written(tmp_path)
