"""`tinylm train --dry-run`: the cost of a run, with or without its data, and why it could not start."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tinylm.accounting.flops import training_flops
from tinylm.accounting.memory import training_memory
from tinylm.accounting.moments import Training
from tinylm.accounting.shape import ModelShape
from tinylm.configs.presets import MODEL_PRESETS
from tinylm.training import memory

Invoke = Callable[..., Result]
OWT = ModelShape(**MODEL_PRESETS["owt"])


def test_plan_of_a_configuration_without_its_data(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The OWT run is priced before its text is there; what is missing is the error, after the plan."""
    monkeypatch.chdir(tmp_path)
    result = invoke("train", "--config", "owt", "--set", "train.device=cpu", "--dry-run", "--json")
    values = json.loads(result.stdout)
    assert result.exit_code == 1
    assert "data/owt-32k: no such directory" in result.stderr
    assert (values["steps"], values["tokens"], values["train_tokens"]) == (40_000, 40_000 * 128 * 256, None)
    assert values["flops"] == 40_000 * training_flops(OWT, 128)
    needed = training_memory(OWT, 128, Training("adamw", values["precision"], 1)).total_bytes
    assert values["memory_bytes"] == needed
    peak = values["peak_flops_per_second"] * values["assumed_mfu"]
    assert values["expected_seconds"] == pytest.approx(values["flops"] / peak)


def test_plan_for_a_person(invoke: Invoke, prepared: Path) -> None:
    """Every `auto` is settled with its reason, and memory needed stands beside memory free."""
    result = invoke("train", "--config", prepared / "config.toml", "--dry-run")
    assert result.exit_code == 0, result.output
    for words in ("precision ", "compile off", "at the peak", "free", "tokens per parameter"):
        assert words in result.stdout


def test_everything_in_the_way_is_said_at_once(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data and too little memory are both named, after the plan."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(memory, "free_bytes", lambda _: 1000)
    result = invoke("train", "--config", "owt", "--set", "train.device=cpu", "--dry-run")
    assert (result.exit_code, "parameters" in result.stdout) == (1, True)
    assert "data/owt-32k: no such directory" in result.stderr
    assert "0.00 GB is free on cpu" in result.stderr


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_small_model_is_expected_to_reach_less_of_the_peak(precision: str, invoke: Invoke) -> None:
    """On a CPU elementwise operations count too: a small model, and faster products, make more of them."""
    options = ["--set", "train.device=cpu", "--set", f"train.precision={precision}", "--dry-run", "--json"]
    small, large = (
        json.loads(invoke("train", "--config", name, *options).stdout)["assumed_mfu"]
        for name in ("tinystories-minute", "tinystories")
    )
    assert 0 < small < large < 1


def test_budget_is_planned_by_time(invoke: Invoke, prepared: Path) -> None:
    """A budget of 100 s is about 100 s of steps."""
    options = ["--set", "train.budget_seconds=100", "--dry-run"]
    values = json.loads(invoke("train", "--config", prepared / "config.toml", *options, "--json").stdout)
    assert values["expected_seconds"] == pytest.approx(100, rel=0.01)
    assert "as many as fit into the budget" in invoke("train", "--config", prepared / "config.toml", *options).stdout


def test_a_run_that_cannot_fit_is_refused(invoke: Invoke, prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too little memory is an error of the plan and of the run, which leaves no directory behind."""
    monkeypatch.setattr(memory, "free_bytes", lambda _: 1000)
    command = ["train", "--config", prepared / "config.toml", "--out", prepared / "too-large"]
    for extra in (["--dry-run"], []):
        result = invoke(*command, *extra)
        assert result.exit_code == 1
        assert "training needs 0.00 GB of memory, 0.00 GB is free on cpu" in result.stderr
    assert not (prepared / "too-large").exists()
