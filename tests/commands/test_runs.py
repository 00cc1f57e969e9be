"""`tinylm runs`: the history that run directories are."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

Invoke = Callable[..., Result]


def test_lists_the_runs_of_a_sweep(swept: Any, invoke: Invoke) -> None:
    """Best first, with figures, sizes and what differs."""
    values = json.loads(invoke("runs", swept.directory, "--json").stdout)["runs"]
    assert [Path(run["run"]).name for run in values] == ["lr=0.03", "lr=0.01", "lr=1e+30"]
    assert [run["status"] for run in values] == ["done", "done", "diverged"]
    assert values[0]["valid_loss"] == swept.values["best"]["valid_loss"]
    assert [run["differences"] for run in values] == [{"optim.lr": 0.03}, {"optim.lr": 0.01}, {"optim.lr": 1e30}]
    assert values[0]["num_parameters"] == 2 * 300 * 32 + 2 * (4 * 32 * 32 + 3 * 32 * 64 + 2 * 32) + 32


def test_table_and_comparison(swept: Any, invoke: Invoke) -> None:
    """A person gets a line a run, and with --compare the settings in which they differ."""
    plain = invoke("runs", swept.directory, "--status", "done").stdout
    assert [line.split()[:2] for line in plain.splitlines()[2:]] == [["lr=0.03", "done"], ["lr=0.01", "done"]]
    compared = invoke("runs", swept.directory, "--compare").stdout
    assert compared.splitlines()[-3].split() == ["lr=0.03", "0.03"]


def test_where_chooses(swept: Any, invoke: Invoke) -> None:
    """--where keeps the runs with a setting."""
    values = json.loads(invoke("runs", swept.directory, "--where", "optim.lr=1e-2", "--json").stdout)["runs"]
    assert [Path(run["run"]).name for run in values] == ["lr=0.01"]
    assert invoke("runs", swept.directory, "--where", "optim.lrr=1").exit_code == 2


def test_an_unknown_status_is_a_mistake(swept: Any, invoke: Invoke) -> None:
    """Rather than one that no run has; the known ones are named."""
    result = invoke("runs", swept.directory, "--status", "finished")
    assert result.exit_code == 2
    assert all(status in result.stderr for status in ("done", "diverged", "stopped", "running", "unfinished"))


def test_an_unreadable_run_is_left_out_and_named(swept: Any, invoke: Invoke, tmp_path: Path) -> None:
    """One broken configuration does not hide the others."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "metrics.jsonl").touch()
    (tmp_path / "broken" / "config.toml").write_text("[data]\n")
    result = invoke("runs", tmp_path)
    assert (result.exit_code, result.stdout) == (0, "no runs\n")
    assert "warning: left out:" in result.stderr


def test_a_run_without_access_is_left_out_and_named(
    swept: Any, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does one whose files this user may not read."""
    closed = shutil.copytree(swept.directory, tmp_path / "runs") / "lr=0.03" / "config.toml"
    read_bytes = Path.read_bytes

    def read(path: Path) -> bytes:
        if path == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", read)
    result = invoke("runs", tmp_path / "runs", "--json")
    assert [Path(run["run"]).name for run in json.loads(result.stdout)["runs"]] == ["lr=0.01", "lr=1e+30"]
    assert f"warning: left out: {closed}: permission denied" in result.stderr


def test_a_missing_directory_is_said(invoke: Invoke, tmp_path: Path) -> None:
    """With where runs usually are."""
    result = invoke("runs", tmp_path / "nowhere")
    assert result.exit_code == 1
    assert "no such directory" in result.stderr
