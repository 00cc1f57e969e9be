"""`tinylm report` and `tinylm leaderboard report` on what the commands themselves left on disk."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from typer.testing import Result

Invoke = Callable[..., Result]
Spawn = Callable[..., Popen[str]]


def test_page_of_a_sweep_and_of_a_run(swept: Any, invoke: Invoke, tmp_path: Path) -> None:
    """Either directory gives a page, named on stdout, with the losses that the commands reported."""
    for path in (swept.directory, swept.directory / "lr=0.03"):
        out = tmp_path / f"{path.name}.html"
        result = invoke("report", path, "--out", out, "--json")
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout) == {"schema": 1, "out": str(out), "pictures": []}
        assert f"{swept.values['best']['valid_loss']:.4f}" in out.read_text()


def test_page_of_a_leaderboard(swept: Any, invoke: Invoke, tmp_path: Path) -> None:
    """`leaderboard report` is `report` of the board; --png adds pictures beside the page."""
    board, out = tmp_path / "board", tmp_path / "board.html"
    rules = ["--budget-seconds", 1000, "--any-commit"]
    invoke("leaderboard", "add", swept.directory / "lr=0.03", "--board", board, *rules)
    result = invoke("leaderboard", "report", "--board", board, "--out", out, "--png", "--json")
    assert result.exit_code == 0, result.output
    pictures = json.loads(result.stdout)["pictures"]
    assert pictures == [str(tmp_path / f"board-{number}.png") for number in (1, 2, 3)]
    assert all(Path(picture).stat().st_size > 1000 for picture in pictures)
    assert "lr=0.03 leads one entry" in out.read_text()


def test_a_page_needs_no_locale(swept: Any, spawn: Spawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are UTF-8 wherever they are read; what lies among the samples and is none is left alone."""
    run = shutil.copytree(swept.directory / "lr=0.03", tmp_path / "run")
    (run / "samples").mkdir()
    (run / "samples" / "step-00000012.txt").write_text("Once upon a naïve cat", encoding="utf-8")
    for stray in ("notes.txt", "step-notes.txt", "step-00000012-mine.txt"):
        (run / "samples" / stray).write_text("mine", encoding="utf-8")
    for name, value in {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}.items():
        monkeypatch.setenv(name, value)
    process = spawn("report", run, "--out", tmp_path / "run.html")
    _, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    page = (tmp_path / "run.html").read_text(encoding="utf-8")
    assert "Once upon a naïve cat" in page
    assert "<h2>Samples: step 12</h2>" in page
    assert page.count("<h2>Samples") == 1


def test_a_page_is_not_overwritten_by_chance(swept: Any, invoke: Invoke, tmp_path: Path) -> None:
    """--force replaces it."""
    out = tmp_path / "report.html"
    out.write_text("mine")
    assert invoke("report", swept.directory, "--out", out).exit_code == 2
    assert out.read_text() == "mine"
    assert invoke("report", swept.directory, "--out", out, "--force").exit_code == 0


def test_a_picture_is_not_overwritten_by_chance(swept: Any, invoke: Invoke, tmp_path: Path) -> None:
    """Nor is anything written when there is one in the way, the page included."""
    out, picture = tmp_path / "r.html", tmp_path / "r-2.png"
    picture.write_text("mine")
    result = invoke("report", swept.directory, "--out", out, "--png")
    assert result.exit_code == 2
    assert f"{picture}: already exists" in result.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["r-2.png"]
    assert picture.read_text() == "mine"
    assert invoke("report", swept.directory, "--out", out, "--png", "--force").exit_code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_nothing_to_report_on(invoke: Invoke, tmp_path: Path) -> None:
    """A directory that is neither run nor sweep nor leaderboard is named."""
    result = invoke("report", tmp_path, "--out", tmp_path / "report.html")
    assert result.exit_code == 1
    assert "neither a run nor a sweep nor a leaderboard" in result.stderr
