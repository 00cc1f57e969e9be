"""Each rule of a leaderboard: kept by an honest run, broken by one change, and named when it is."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tinylm.accounting.flops import training_flops
from tinylm.accounting.hardware import peak_flops
from tinylm.accounting.shape import ModelShape
from tinylm.configs.loader import parse
from tinylm.configs.run import DataConfig, RunConfig, TrainConfig
from tinylm.errors import ConfigError
from tinylm.experiments.leaderboard.rules import Rules, RunFacts, broken_rules

DEVICE = {"device": "NVIDIA H100 80GB HBM3"}
A100_HOURS = 300 / 3600 * 312 / 989.4
RULES = Rules(budget_seconds=100.0, valid_text_sha256="valid", train_text_sha256="train")


def facts(**changes: Any) -> RunFacts:
    """Of an honest run of ten steps, with changes to the summary by key and to other facts by name."""
    config = RunConfig(
        data=DataConfig(train="train.npy", valid="valid.npy", tokenizer="tokenizer"),
        train=TrainConfig(steps=10, batch_size=2),
    )
    summary = {
        "status": "done",
        "steps": 10,
        "tokens": 10 * 2 * 256,
        "seconds": 99.0,
        "valid_loss": 3.0,
        "h100_hours": changes.get("seconds", 99.0) / 3600,
        "mfu": 0.5,
    }
    recorded = {
        "step": 10,
        "progress": {"seconds": changes.get("seconds", 99.0)},
        "evaluation": {"valid_loss": 3.0, "valid_tokens": changes.pop("valid_tokens", 9)},
        "data": {"sha256": "train-file"},
    }
    honest = RunFacts(
        run=Path("run"),
        config=config,
        summary=summary | {key: changes.pop(key) for key in list(changes) if key in summary},
        environment=DEVICE | {"commit": "abc"},
        checkpoint="step-00000010",
        recorded=recorded,
        checkpoint_sha256="w",
        weights_finite=True,
        num_parameters=1000,
        train_sha256="train-file",
        train_text_sha256="train",
        valid_text_sha256="valid",
        valid_num_tokens=10,
        valid_num_bytes=40,
    )
    return dataclasses.replace(honest, **changes)


def test_an_honest_run_breaks_nothing() -> None:
    """It may be entered."""
    assert broken_rules(RULES, facts()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"valid_loss": 2.9}, "summary: says valid_loss 2.9, but the checkpoint was saved with 3.0"),
        ({"valid_loss": None}, "summary: says valid_loss None"),
        ({"steps": 9}, "summary: says steps 9, but the checkpoint was saved with 10"),
        ({"tokens": 999}, "summary: says tokens 999, but the checkpoint was saved with 5120"),
        ({"seconds": 102.6}, "budget: 102.6 s of training, the board allows 100 (and 2.5% more)"),
        ({"valid_text_sha256": "easier"}, "data: valid.npy is not the board's validation text"),
        ({"train_text_sha256": "valid"}, "data: train.npy is the validation text"),
        ({"train_text_sha256": "more"}, "data: train.npy is not the board's training text"),
        ({"train_sha256": "other"}, "data: train.npy has changed since the run was trained on it"),
        ({"valid_tokens": 8}, "validation: evaluated on 8 of 9 tokens"),
        ({"weights_finite": False}, "weights: step-00000010 holds values that are not finite"),
        (
            {"h100_hours": 0.01},
            "summary: says h100_hours 0.01, but the checkpoint's training comes to 0.0275 on NVIDIA H100",
        ),
        ({"environment": DEVICE | {"commit": "abc+changes"}}, "commit: trained with changes that no commit has"),
    ],
)
def test_one_change_breaks_one_rule(changes: dict[str, Any], message: str) -> None:
    """Every cheat or slip is found alone, and said with the name of its rule."""
    (broken,) = broken_rules(RULES, facts(**changes))
    assert broken.startswith(message)


def test_all_broken_rules_are_said() -> None:
    """Not only the first."""
    broken = broken_rules(RULES, facts(seconds=200.0, weights_finite=False, valid_tokens=1))
    assert [line.partition(":")[0] for line in broken] == ["budget", "validation", "weights"]


def test_seconds_are_those_of_the_checkpoint() -> None:
    """A summary that shortens the time is found out by the checkpoint's own record."""
    honest = facts(seconds=200.0)
    edited = dataclasses.replace(honest, summary=honest.summary | {"seconds": 99.0})
    assert [line.partition(":")[0] for line in broken_rules(RULES, edited)] == ["summary"]


@pytest.mark.parametrize(("seconds", "kept"), [(100.0, True), (102.4, True), (102.6, False)])
def test_the_last_step_may_end_late(seconds: float, kept: bool) -> None:
    """The tolerance covers a step that ends after the bell, and no more."""
    assert (broken_rules(RULES, facts(seconds=seconds)) == []) is kept


def test_budget_in_h100_hours() -> None:
    """With such a budget it is H100-hours that count, and not seconds."""
    rules = Rules(budget_h100_hours=0.03, valid_text_sha256="valid")
    assert broken_rules(rules, facts()) == []
    assert broken_rules(rules, facts(environment={"device": "NVIDIA A100"}, seconds=300.0, h100_hours=A100_HOURS)) == []
    (broken,) = broken_rules(rules, facts(seconds=180.0))
    assert broken.startswith("budget: 0.05 H100-hours, the board allows 0.03")


def test_h100_hours_of_a_device_that_no_maker_lists() -> None:
    """Its peak was measured: what the MFU is relative to."""
    honest = facts(environment={"device": "a processor"}, mfu=0.5, h100_hours=0.0)
    flops = 10 * training_flops(ModelShape.of(honest.config.model), 2)
    hours = flops / 0.5 / (peak_flops("h100", "bf16") or 0) / 3600
    assert broken_rules(RULES, dataclasses.replace(honest, summary=honest.summary | {"h100_hours": hours})) == []
    edited = dataclasses.replace(honest, summary=honest.summary | {"h100_hours": hours / 2})
    assert [line.partition(":")[0] for line in broken_rules(RULES, edited)] == ["summary"]


def test_h100_hours_that_cannot_be_told_break_nothing() -> None:
    """A V100 has no bf16 rate: what was measured in its place is in no file."""
    assert broken_rules(RULES, facts(environment={"device": "Tesla V100-SXM2-16GB"}, h100_hours=0.01)) == []


def test_a_board_may_be_lenient() -> None:
    """Any training text but the validation text, and uncommitted sources, where the rules say so."""
    rules = Rules(budget_seconds=100.0, valid_text_sha256="valid", clean_commit=False)
    assert broken_rules(rules, facts(train_text_sha256="any", environment=DEVICE | {"commit": "abc+changes"})) == []
    assert broken_rules(RULES, facts(environment=DEVICE | {"commit": None})) == []


@pytest.mark.parametrize("budget", [{}, {"budget_seconds": 1.0, "budget_h100_hours": 1.0}])
def test_a_board_has_one_budget(budget: dict[str, float]) -> None:
    """Neither none nor two."""
    with pytest.raises(ConfigError, match="give either budget_seconds or budget_h100_hours"):
        parse(Rules, {"valid_text_sha256": "v", **budget}, source="board.toml")
