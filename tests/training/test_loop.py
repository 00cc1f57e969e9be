"""The training step: accumulation, precision of the loss, divergence."""

from typing import Any

import numpy as np
import pytest
import torch

from tinylm.configs.loader import parse
from tinylm.configs.run import RunConfig
from tinylm.schedules import cosine
from tinylm.training.device import choose_execution
from tinylm.training.loop import DIVERGENCE_PATIENCE, Trainer
from tinylm.training.reports import StepReport

TOKENS = np.random.default_rng(0).integers(0, 50, 2000).astype(np.uint16)
MODEL = {"vocab_size": 50, "context_length": 8, "d_model": 16, "num_layers": 2, "num_heads": 2, "d_ff": 32}


def trainer(**tables: dict[str, Any]) -> Trainer:
    """A trainer of a tiny model on random tokens; `tables` override parts of its configuration."""
    values: dict[str, Any] = {
        "data": {"train": "", "valid": "", "tokenizer": ""},
        "model": MODEL | tables.pop("model", {}),
        "schedule": {"warmup_steps": 2, "min_lr": 1e-4},
        "train": {"steps": 100, "batch_size": 8, "device": "cpu"} | tables.pop("train", {}),
    }
    config = parse(RunConfig, values | tables, source="test")
    return Trainer(config, TOKENS, TOKENS[:500], choose_execution(config.train))


def losses(made: Trainer, steps: int) -> list[float]:
    """Losses of the first steps."""
    return [made.step().loss for _ in range(steps)]


def test_accumulation_is_the_mean_over_all_tokens() -> None:
    """One batch of 8 and 4 micro-batches of 2 give the same losses and weights up to rounding, over 20 steps."""
    whole, parts = trainer(), trainer(train={"grad_accumulation": 4})
    assert losses(whole, 20) == pytest.approx(losses(parts, 20), abs=1e-5)
    for one, two in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(one, two, atol=1e-4, rtol=0)


def test_fast_path_trains_as_the_readable_one() -> None:
    """Fused attention and loss give the written-out ones' losses within 1e-4 over 100 steps in float32."""
    fast, readable = trainer(), trainer(model={"attention": "manual"})
    assert losses(fast, 100) == pytest.approx(losses(readable, 100), abs=1e-4)


def test_same_seed_gives_the_same_bits() -> None:
    """Two trainers of one configuration agree bit for bit; another seed does not."""
    assert losses(trainer(), 5) == losses(trainer(), 5)
    assert losses(trainer(), 5) != losses(trainer(seed=7), 5)


def test_rate_follows_the_schedule() -> None:
    """Each report carries the rate of its step, and the optimizer used it."""
    made = trainer()
    for step in range(1, 6):
        report = made.step()
        assert report.lr == cosine(step, 2e-3, 1e-4, 2, 100)
        assert [group["lr"] for group in made.optimizer.param_groups] == [report.lr] * len(made.optimizer.param_groups)


def test_reports_count_tokens() -> None:
    """Tokens are steps x batch x context, whatever the micro-batches."""
    made = trainer(train={"grad_accumulation": 2})
    made.step()
    assert made.step().tokens == 2 * 8 * 8


def test_first_loss_is_about_a_uniform_guess() -> None:
    """An untrained tied model knows nothing: its loss is near ln(vocab_size) = 3.9."""
    assert trainer(model={"tie_embeddings": True}).step().loss == pytest.approx(np.log(50), abs=0.5)


def test_evaluation_is_the_mean_over_all_targets() -> None:
    """eval_batches = 0 gives the exact mean loss of the whole file, window by window."""
    made = trainer(train={"eval_batches": 0})
    total = 0.0
    with torch.no_grad():
        for start in range(0, 499, 8):
            window = torch.from_numpy(TOKENS[start : min(start + 9, 500)].astype(np.int64))[None]
            logits = made.model(window[:, :-1])
            total += torch.nn.functional.cross_entropy(logits[0], window[0, 1:], reduction="sum").item()
    assert made.evaluate() == pytest.approx(total / 499, abs=1e-6)


def test_evaluation_changes_nothing() -> None:
    """Evaluating between steps leaves the following losses as they are."""
    plain, evaluated = trainer(), trainer()
    plain.step(), evaluated.step()
    evaluated.evaluate()
    assert plain.step().loss == evaluated.step().loss


def test_non_finite_gradient_is_divergence_and_is_not_applied() -> None:
    """A NaN weight diverges at once, and the optimizer does not spread it to other weights."""
    made = trainer()
    made.step()
    with torch.no_grad():
        made.model.final_norm.weight[0] = torch.nan
    before = made.model.token_embedding.weight.clone()
    report = made.step()
    assert made.diverged(report)
    assert torch.equal(made.model.token_embedding.weight, before)


def test_a_high_smoothed_loss_is_divergence_only_when_it_stays() -> None:
    """Twice ln(vocab_size) may be exceeded for a while, not for DIVERGENCE_PATIENCE steps in a row."""
    made = trainer()
    fine = StepReport(1, 1.0, 1e-3, 1.0, 64, 1.0, 64.0)
    bound = 2 * np.log(50)
    for _ in range(DIVERGENCE_PATIENCE - 1):
        made._smooth(bound + 1)
    assert not made.diverged(fine)
    made._smooth(bound + 1)
    assert made.diverged(fine)
    for _ in range(200):
        made._smooth(1.0)
    assert not made.diverged(fine)
