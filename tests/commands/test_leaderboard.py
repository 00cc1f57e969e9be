"""`tinylm leaderboard`: honest runs are entered, ranked and hold; others are refused, each with its rule."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.numpy
from typer.testing import Result

Invoke = Callable[..., Result]


@pytest.fixture
def board(swept: Any, invoke: Invoke, tmp_path: Path) -> Path:
    """A leaderboard with the sweep's two sound runs, which says nothing about commits."""
    directory = tmp_path / "board"
    rules = ["--budget-seconds", 1000, "--any-commit"]
    for name, part, new in (("lr=0.01", "exploration", rules), ("lr=0.03", "optimized", [])):
        result = invoke("leaderboard", "add", swept.directory / name, "--board", directory, "--round", part, *new)
        assert result.exit_code == 0, result.output
    return directory


@pytest.fixture
def run(swept: Any, tmp_path: Path) -> Path:
    """A sound run of its own, to be tampered with."""
    return Path(shutil.copytree(swept.directory / "lr=0.03", tmp_path / "tampered"))


def edit(file: Path, **changes: object) -> None:
    """Change keys of a JSON file."""
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_show_ranks_the_entries(board: Path, swept: Any, invoke: Invoke) -> None:
    """Best first, with everything that the comparison needs, and what differs."""
    values = json.loads(invoke("leaderboard", "show", "--board", board, "--json").stdout)
    first, second = values["entries"]
    trials = {trial["name"]: trial for trial in swept.values["trials"]}
    assert (first["rank"], first["name"], first["round"]) == (1, "lr=0.03", "optimized")
    assert first["valid_loss"] == trials["lr=0.03"]["valid_loss"] < second["valid_loss"]
    assert (first["rank_bits_per_byte"], second["rank_bits_per_byte"]) == (1, 2)
    assert first["bits_per_byte"] == pytest.approx(
        json.loads((swept.directory / "lr=0.03" / "summary.json").read_text())["bits_per_byte"]
    )
    assert first["tokens_per_parameter"] == first["tokens"] / first["num_parameters"]
    assert (first["differences"], second["differences"]) == ({"optim.lr": 0.03}, {"optim.lr": 0.01})
    assert first.keys() >= {"run", "seconds", "h100_hours", "tokens_per_second", "verified", "commit", "device"}
    assert (Path(first["run"]) / "summary.json").exists()
    text = invoke("leaderboard", "show", "--board", board).stdout
    assert [line.split()[1] for line in text.splitlines()[2:4]] == ["lr=0.03", "lr=0.01"]
    assert "what differs" in text


def test_verify_confirms_honest_entries(board: Path, invoke: Invoke) -> None:
    """Evaluated again, both losses are those entered, and the board remembers."""
    result = invoke("leaderboard", "verify", "--board", board, "--json")
    assert result.exit_code == 0, result.output
    outcomes = json.loads(result.stdout)["verifications"]
    assert all(outcome["holds"] for outcome in outcomes)
    assert all(outcome["measured"] == pytest.approx(outcome["claimed"], abs=1e-5) for outcome in outcomes)
    shown = json.loads(invoke("leaderboard", "show", "--board", board, "--json").stdout)["entries"]
    assert [entry["verified"] for entry in shown] == [True, True]


def test_verify_refutes_an_edited_entry(board: Path, invoke: Invoke) -> None:
    """A loss changed in the entry's file is found, named and remembered; the other entry still holds."""
    file = board / "entries" / "lr=0.03.json"
    claimed = json.loads(file.read_text())["valid_loss"] - 0.002
    edit(file, valid_loss=claimed)
    result = invoke("leaderboard", "verify", "--board", board, "--json")
    assert result.exit_code == 3
    assert f"entered as {claimed:.4f}" in result.stderr
    assert [outcome["holds"] for outcome in json.loads(result.stdout)["verifications"]] == [True, False]
    assert json.loads(file.read_text())["verified"] is False


def test_verify_refutes_exchanged_weights(board: Path, run: Path, invoke: Invoke) -> None:
    """Weights that are not those entered do not count, whatever their loss."""
    assert invoke("leaderboard", "add", run, "--board", board, "--name", "mine").exit_code == 0
    shutil.rmtree(run / "checkpoints" / "step-00000012")
    (run / "checkpoints" / "step-00000010").rename(run / "checkpoints" / "step-00000012")
    result = invoke("leaderboard", "verify", "mine", "--board", board)
    assert result.exit_code == 3
    assert "holds other weights than were entered" in result.stderr


def test_what_cannot_be_checked_here_is_not_refuted(
    board: Path, run: Path, prepared: Path, invoke: Invoke, tmp_path: Path
) -> None:
    """Without its validation text an entry keeps what was found before; exit code 1, and 3 beside a refuted one."""
    moved = Path(shutil.copytree(prepared, tmp_path / "elsewhere")) / "valid.npy"
    (run / "config.toml").write_text((run / "config.toml").read_text().replace(f"{prepared}/valid.npy", str(moved)))
    assert invoke("leaderboard", "add", run, "--board", board, "--name", "mine").exit_code == 0
    assert invoke("leaderboard", "verify", "mine", "--board", board).exit_code == 0
    moved.unlink()
    before = (board / "entries" / "mine.json").read_text()
    result = invoke("leaderboard", "verify", "--board", board, "--json")
    assert result.exit_code == 1
    assert f"1 of 3 entries could not be checked:\n  mine: {moved}: no such file" in result.stderr
    outcomes = {outcome["name"]: outcome["holds"] for outcome in json.loads(result.stdout)["verifications"]}
    assert outcomes == {"lr=0.01": True, "lr=0.03": True, "mine": None}
    assert (board / "entries" / "mine.json").read_text() == before
    assert json.loads(before)["verified"] is True
    edit(board / "entries" / "lr=0.03.json", valid_loss=1.0)
    result = invoke("leaderboard", "verify", "--board", board)
    assert result.exit_code == 3
    assert "1 of 3 entries do not hold" in result.stderr
    assert "1 of 3 entries could not be checked" in result.stderr
    assert [line.split()[-1] for line in result.stdout.splitlines()[2:]] == ["yes", "NO", "?"]


def test_another_validation_file_is_refused(board: Path, run: Path, prepared: Path, invoke: Invoke) -> None:
    """A run evaluated on easier text has a loss that compares with no other."""
    config = (run / "config.toml").read_text().replace(f"{prepared}/valid.npy", f"{prepared}/train.npy")
    (run / "config.toml").write_text(config)
    result = invoke("leaderboard", "add", run, "--board", board, "--name", "cheat")
    assert result.exit_code == 3
    assert "data: " in result.stderr
    assert "is not the board's validation text" in result.stderr
    assert not (board / "entries" / "cheat.json").exists()


def test_an_edited_summary_is_refused(board: Path, run: Path, invoke: Invoke) -> None:
    """A better loss and shorter times than the checkpoint's own record are all named."""
    edit(run / "summary.json", valid_loss=1.0, seconds=0.001, h100_hours=1e-9)
    result = invoke("leaderboard", "add", run, "--board", board, "--name", "cheat")
    assert result.exit_code == 3
    assert "summary: says valid_loss 1.0" in result.stderr
    assert "summary: says seconds 0.001" in result.stderr
    assert "summary: says h100_hours 1e-09" in result.stderr


def test_over_budget_is_refused(board: Path, run: Path, invoke: Invoke) -> None:
    """The budget is the board's, and what a run used is in its checkpoint."""
    rules = board / "board.toml"
    rules.write_text(rules.read_text().replace("budget_seconds = 1000.0", "budget_seconds = 1e-3"))
    result = invoke("leaderboard", "add", run, "--board", board, "--name", "slow")
    assert result.exit_code == 3
    assert "budget: " in result.stderr


def test_weights_that_are_not_finite_are_refused(board: Path, run: Path, invoke: Invoke) -> None:
    """One infinite weight is one too many, even under fresh checksums."""
    from tinylm.files import sha256

    checkpoint = run / "checkpoints" / "step-00000012"
    tensors = safetensors.numpy.load_file(checkpoint / "model.safetensors")
    next(iter(tensors.values())).flat[0] = float("inf")
    safetensors.numpy.save_file(tensors, checkpoint / "model.safetensors")
    size = (checkpoint / "model.safetensors").stat().st_size
    fresh = {"bytes": size, "sha256": sha256(checkpoint / "model.safetensors")}
    edit(checkpoint / "manifest.json", **{"model.safetensors": fresh})
    result = invoke("leaderboard", "add", run, "--board", board, "--name", "broken")
    assert result.exit_code == 3
    assert "weights: step-00000012 holds values that are not finite" in result.stderr


def test_a_diverged_run_is_refused(board: Path, swept: Any, invoke: Invoke) -> None:
    """There is nothing to enter."""
    result = invoke("leaderboard", "add", swept.directory / "lr=1e+30", "--board", board)
    assert result.exit_code == 3
    assert "diverged" in result.stderr


def test_names_are_unique(board: Path, run: Path, invoke: Invoke) -> None:
    """An entry is not replaced by chance."""
    assert invoke("leaderboard", "add", run, "--board", board, "--name", "lr=0.03").exit_code == 2
    assert invoke("leaderboard", "add", run, "--board", board, "--name", "lr=0.03", "--force").exit_code == 0


@pytest.mark.parametrize("name", ["team/lb", "team\\lb", "..", ".hidden"])
def test_a_name_is_that_of_a_file(name: str, board: Path, run: Path, invoke: Invoke) -> None:
    """An entry somewhere else would be said to be entered, and shown nowhere."""
    result = invoke("leaderboard", "add", run, "--board", board, "--name", name)
    assert result.exit_code == 2
    assert f"--name {name!r}: " in result.stderr
    assert len(list(board.rglob("*.json"))) == 2


def test_a_refused_run_begins_no_board(run: Path, invoke: Invoke, tmp_path: Path) -> None:
    """Its texts and budget are nobody's rules."""
    edit(run / "summary.json", valid_loss=1.0)
    result = invoke("leaderboard", "add", run, "--board", tmp_path / "new", "--budget-seconds", 1000, "--any-commit")
    assert result.exit_code == 3
    assert "summary: says valid_loss 1.0" in result.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        (["--budget-seconds", "10", "--budget-h100-hours", "1"], "give either budget_seconds or budget_h100_hours"),
        (["--budget-seconds", "-5"], "budget_seconds: input should be greater than 0, not -5.0"),
        (["--budget-h100-hours", "0"], "budget_h100_hours: input should be greater than 0, not 0.0"),
    ],
)
def test_a_new_board_has_one_budget_that_can_be_kept(
    budget: list[str], says: str, run: Path, invoke: Invoke, tmp_path: Path
) -> None:
    """Two, a negative one and none at all are each named."""
    result = invoke("leaderboard", "add", run, "--board", tmp_path / "new", *budget)
    assert result.exit_code == 2
    assert says in result.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("rule", [["--budget-seconds", "0"], ["--budget-h100-hours", "1"], ["--any-commit"]])
def test_rules_are_those_of_the_board(rule: list[str], board: Path, run: Path, invoke: Invoke) -> None:
    """Once begun, it takes no others from the command line."""
    result = invoke("leaderboard", "add", run, "--board", board, "--name", "mine", *rule)
    assert result.exit_code == 2
    assert f"{board / 'board.toml'} has the rules already; edit them there" in result.stderr


def test_a_new_board_needs_a_budget(run: Path, invoke: Invoke, tmp_path: Path) -> None:
    """Without one nothing compares; the message says how to give it."""
    result = invoke("leaderboard", "add", run, "--board", tmp_path / "new")
    assert result.exit_code == 2
    assert "--budget-seconds" in result.stderr
    assert not (tmp_path / "new").exists()


def test_no_board_is_said(invoke: Invoke, tmp_path: Path) -> None:
    """A wrong directory is named, with what begins a board."""
    for command in ("show", "verify"):
        result = invoke("leaderboard", command, "--board", tmp_path)
        assert result.exit_code == 1
        assert "no leaderboard here" in result.stderr


def test_show_imports_no_torch(board: Path) -> None:
    """Looking at a leaderboard is instant: neither torch nor any other heavy library is loaded."""
    script = (
        "import sys\n"
        "from tinylm.cli import app\n"
        "try:\n"
        "    app(sys.argv[1:], prog_name='tinylm')\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "loaded = {'torch', 'numpy', 'numba', 'wandb', 'matplotlib', 'rich'} & sys.modules.keys()\n"
        "assert not loaded, loaded\n"
    )
    for arguments in (["--board", str(board)], ["--board", str(board), "--json"]):
        command = [sys.executable, "-c", script, "leaderboard", "show", *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "lr=0.03" in done.stdout
