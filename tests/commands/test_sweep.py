"""`tinylm sweep`: trials are ordinary runs in processes of their own, none twice, the same whatever happens between."""

import csv
import json
import math
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tinylm.commands.sweep import default_jobs
from tinylm.configs.sweep import load_sweep_config
from tinylm.experiments.trials import Trial, plan_trials

Invoke = Callable[..., Result]
Spawn = Callable[..., Popen[str]]

TRIAL_KEYS = {"name", "values", "status", "valid_loss", "valid_perplexity", "tokens", "seconds", "run", "message"}


def test_json_has_the_trials_and_what_they_show(swept: Any) -> None:
    """One object: every trial with its figures, the best one, and the edge of stability."""
    trials = swept.values["trials"]
    assert [trial["name"] for trial in trials] == ["lr=0.01", "lr=0.03", "lr=1e+30"]
    assert [trial["status"] for trial in trials] == ["done", "done", "diverged"]
    assert all(trial.keys() == TRIAL_KEYS for trial in trials)
    assert trials[0]["values"] == {"optim.lr": 0.01}
    assert trials[0]["valid_perplexity"] == pytest.approx(math.exp(trials[0]["valid_loss"]))
    assert (trials[2]["valid_loss"], trials[2]["valid_perplexity"]) == (None, None)
    assert swept.values["best"] == trials[1]
    assert swept.values["best"]["valid_loss"] == min(trial["valid_loss"] for trial in trials[:2])
    assert (swept.values["stable_edge"], swept.values["first_unstable"]) == (0.03, 1e30)


def test_each_trial_is_an_ordinary_run(swept: Any, invoke: Invoke) -> None:
    """A trial's directory is a run that `tinylm train` regards as ended and `tinylm sample` writes with."""
    name = "lr=0.01"
    config, run = swept.directory / "configs" / f"{name}.toml", swept.directory / name
    again = invoke("train", "--config", config, "--out", run, "--json")
    assert json.loads(again.stdout)["valid_loss"] == swept.values["trials"][0]["valid_loss"]
    assert invoke("sample", run, "--prompt", "the cat", "--max-new-tokens", 3).exit_code == 0


def test_results_are_files_too(swept: Any) -> None:
    """results.json is what --json prints, results.csv has a line a trial."""
    assert json.loads((swept.directory / "results.json").read_text()) == swept.values
    rows = list(csv.DictReader((swept.directory / "results.csv").read_text().splitlines()))
    assert [row["optim.lr"] for row in rows] == ["0.01", "0.03", "1e+30"]
    assert float(rows[0]["valid_loss"]) == swept.values["trials"][0]["valid_loss"]
    assert rows[2]["valid_loss"] == ""


def test_what_has_ended_is_not_run_again(swept: Any, invoke: Invoke) -> None:
    """The same command once more starts no process and prints the same object."""
    before = {path: path.stat().st_mtime_ns for path in swept.directory.glob("*/*")}
    result = invoke("sweep", "--config", swept.file, "--out", swept.directory, "--json")
    assert json.loads(result.stdout) == swept.values
    assert {path: path.stat().st_mtime_ns for path in swept.directory.glob("*/*")} == before


def test_a_person_gets_a_table(swept: Any, invoke: Invoke) -> None:
    """The best trial is marked, a diverged one named, and the edge of stability put into words."""
    text = invoke("sweep", "--config", swept.file, "--out", swept.directory, "--quiet").stdout
    rows = {line.split()[1] if line.startswith("*") else line.split()[0]: line for line in text.splitlines() if line}
    assert rows["lr=0.03"].startswith("* ")
    assert rows["lr=1e+30"].endswith("diverged")
    assert f"{swept.values['trials'][0]['valid_loss']:.4f}" in rows["lr=0.01"]
    assert "edge of stability: between 0.03 and 1e+30" in text


def test_notes_say_what_starts_and_ends(swept: Any) -> None:
    """stderr tells each trial's beginning and end."""
    assert "lr=0.01: running" in swept.stderr
    assert f"lr=0.01: done, valid loss {swept.values['trials'][0]['valid_loss']:.4f}" in swept.stderr
    assert "lr=1e+30: diverged" in swept.stderr


def test_all_problems_come_before_the_first_trial(invoke: Invoke, prepared: Path, tmp_path: Path) -> None:
    """A trial that cannot start stops the sweep before any has, its inputs included; nothing is written."""
    file, out = tmp_path / "sweep.toml", tmp_path / "out"
    base = f'base = "{prepared / "config.toml"}"\n'
    file.write_text(base + '[grid]\n"model.vocab_size" = [300, 200]\n"model.num_heads" = [2, 3]\n')
    result = invoke("sweep", "--config", file, "--out", out)
    assert result.exit_code == 2
    assert "d_model 32 is not divisible by num_heads 3" in result.stderr
    file.write_text(base + '[grid]\n"model.vocab_size" = [300, 290]\n"model.context_length" = [16, 100000]\n')
    result = invoke("sweep", "--config", file, "--out", out)
    assert result.exit_code == 2
    assert "more than model.vocab_size 290" in result.stderr
    assert "(in vocab_size=300,context_length=100000)" in result.stderr
    assert not out.exists()


def test_another_sweep_in_the_same_place_is_refused(swept: Any, invoke: Invoke) -> None:
    """Trials of the same name with other mathematics are not mixed with those already there."""
    other = ["--set", "model.d_ff=48"]
    result = invoke("sweep", "--config", swept.file, "--out", swept.directory, *other)
    assert result.exit_code == 2
    assert "model.d_ff was 64, now 48" in result.stderr


def test_dry_run_lists_the_trials(swept: Any, invoke: Invoke, tmp_path: Path) -> None:
    """--dry-run says what would run and what it costs, and writes nothing."""
    result = invoke("sweep", "--config", swept.file, "--out", tmp_path / "out", "--dry-run", "--json")
    trials = json.loads(result.stdout)["trials"]
    assert [trial["tokens"] for trial in trials] == [12 * 4 * 16] * 3
    assert not (tmp_path / "out").exists()


def trials_with(directory: Path, **train: object) -> list[Trial]:
    """Four rates, with settings of `[train]`."""
    base, sweep = directory / "base.toml", directory / "sweep.toml"
    base.write_text('[data]\ntrain = "t.npy"\nvalid = "v.npy"\ntokenizer = "tok"\n[train]\ndevice = "cpu"\n')
    sweep.write_text(f'base = "{base}"\n[grid]\n"optim.lr" = [1e-3, 2e-3, 3e-3, 4e-3]\n')
    return plan_trials(load_sweep_config(sweep, [f"train.{key}={value}" for key, value in train.items()]))


def test_jobs_are_as_many_as_there_are_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cores that this process may use, by affinity and quota, whatever the machine has."""
    trials = trials_with(tmp_path)
    for cores, threads, jobs in ((3.0, 1, 3), (3.0, 2, 1), (1.5, 1, 1), (0.5, 1, 1), (64.0, 1, 4), (1.0, 4, 1)):
        monkeypatch.setattr("tinylm.training.cores.available_cores", lambda cores=cores: cores)
        assert default_jobs(trials, threads) == jobs


@pytest.mark.parametrize("budget", ["budget_seconds", "budget_h100_hours"])
def test_trials_that_race_the_clock_run_alone(budget: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Side by side each would get fewer steps for its seconds."""
    monkeypatch.setattr("tinylm.training.cores.available_cores", lambda: 64.0)
    assert default_jobs(trials_with(tmp_path, **{budget: 5}), 1) == 1


@pytest.mark.slow
def test_a_crash_is_one_failed_trial(swept: Any, invoke: Invoke, tmp_path: Path) -> None:
    """A trial that ends in an error fails with its own words; the others count, and the exit code is 1."""
    file, out = tmp_path / "sweep.toml", tmp_path / "out"
    file.write_text(swept.file.read_text().replace("1e30", "1e30, 5e-2"))
    shutil.copytree(swept.directory, out)
    (out / "lr=0.05").mkdir()
    (out / "lr=0.05" / "thesis.tex").write_text("years of work")
    result = invoke("sweep", "--config", file, "--out", out, "--json")
    assert result.exit_code == 1
    assert [trial["status"] for trial in json.loads(result.stdout)["trials"]] == ["done", "done", "diverged", "failed"]
    assert f"1 of 4 trials failed\n  lr=0.05: {out}/lr=0.05: not empty and not a run" in result.stderr


LONG = """
base = "{base}"
[set]
train.steps = 80
train.save_every = 5
[grid]
"optim.lr" = [1e-2, 3e-2]
"""


def losses(values: dict[str, Any]) -> list[float]:
    """Of the trials."""
    return [trial["valid_loss"] for trial in values["trials"]]


@pytest.fixture(scope="module")
def undisturbed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[float]]:
    """A longer sweep's file, and its losses with one job."""
    from tinylm.cli import app

    directory = tmp_path_factory.mktemp("undisturbed")
    file = directory / "sweep.toml"
    file.write_text(LONG.format(base=prepared / "config.toml"))
    arguments = ["sweep", "--config", str(file), "--out", str(directory / "out"), "--jobs", "1", "--json"]
    return file, losses(json.loads(CliRunner().invoke(app, arguments).stdout))


@pytest.mark.slow
def test_losses_do_not_depend_on_jobs(undisturbed: tuple[Path, list[float]], invoke: Invoke, tmp_path: Path) -> None:
    """Two trials at a time end in exactly the losses of one at a time."""
    file, expected = undisturbed
    result = invoke("sweep", "--config", file, "--out", tmp_path / "out", "--jobs", 2, "--json")
    assert losses(json.loads(result.stdout)) == expected


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_sweep_goes_on_to_the_same_losses(
    number: int, undisturbed: tuple[Path, list[float]], spawn: Spawn, tmp_path: Path
) -> None:
    """Killed or stopped in the midst of its trials, a sweep run again ends as if nothing had happened."""
    file, expected = undisturbed
    arguments = ["sweep", "--config", file, "--out", tmp_path / "out", "--jobs", 2, "--json"]
    process = spawn(*arguments)
    wait_for(lambda: (tmp_path / "out/lr=0.01/checkpoints/step-00000010").exists(), process)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[number]
    assert "Traceback" not in err
    started = [json.loads(line) for line in (tmp_path / "out/lr=0.01/metrics.jsonl").read_text().splitlines()]
    assert max(line["step"] for line in started) >= 10
    again = spawn(*arguments)
    out, err = again.communicate(timeout=100)
    assert again.returncode == 0, err
    assert losses(json.loads(out)) == expected


def wait_for(condition: Callable[[], bool], process: Popen[str]) -> None:
    """Poll until `condition` holds, failing with the process's own words when it ends before."""
    deadline = time.monotonic() + 90
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
