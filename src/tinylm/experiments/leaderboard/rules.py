"""The rules of a leaderboard, and which of them a run breaks. Imports no torch."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from tinylm.accounting.flops import training_flops
from tinylm.accounting.hardware import find_device, peak_flops
from tinylm.accounting.shape import ModelShape
from tinylm.configs.base import Table
from tinylm.configs.optim import NonNegative, Positive
from tinylm.configs.run import RunConfig

SAME = 1e-9
"""Relative difference between a figure and its copy in another file."""


class Rules(Table):
    """`board.toml`."""

    budget_seconds: Positive | None = None
    """Seconds of training that a run may take, evaluation not counted."""
    budget_h100_hours: Positive | None = None
    """The same in hours of an H100."""
    tolerance: NonNegative = 0.025
    """How far over the budget is still within it, as a share: a step is not cut in two."""
    valid_text_sha256: str
    """Of the validation text: the same whatever tokenizer made the tokens."""
    train_text_sha256: str | None = None
    """Of the training text; None allows any, but the validation text."""
    clean_commit: bool = True
    """Whether the sources must be those of a commit; a board for yourself may do without."""
    verify_tolerance: Annotated[float, Field(gt=0)] = 1e-3
    """How far a loss evaluated again may be from the loss entered, in nats per token."""

    @model_validator(mode="after")
    def _has_one_budget(self) -> "Rules":
        if (self.budget_seconds is None) == (self.budget_h100_hours is None):
            raise ValueError("give either budget_seconds or budget_h100_hours")
        return self


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a run says of itself, and what its files say."""

    run: Path
    config: RunConfig
    summary: dict[str, Any]
    environment: dict[str, Any]
    checkpoint: str
    """Name of the newest undamaged checkpoint."""
    recorded: dict[str, Any]
    """What that checkpoint was saved with: step, progress, evaluation, training data."""
    checkpoint_sha256: str
    weights_finite: bool
    num_parameters: int
    train_sha256: str
    """Of the training token file as it is now."""
    train_text_sha256: str
    valid_text_sha256: str
    valid_num_tokens: int
    valid_num_bytes: int


def broken_rules(rules: Rules, facts: RunFacts) -> list[str]:
    """One line for each rule that the run breaks, beginning with the rule's name."""
    checks = (
        honest_summary,
        honest_h100_hours,
        within_budget,
        same_data,
        whole_validation_set,
        sound_weights,
        known_commit,
    )
    return [broken for check in checks for broken in check(rules, facts)]


def honest_summary(_rules: Rules, facts: RunFacts) -> Iterator[str]:
    """summary.json says what the checkpoint was saved with: that record is under the checkpoint's own checksums."""
    summary, recorded = facts.summary, facts.recorded
    tokens_per_step = facts.config.train.batch_size * facts.config.model.context_length
    copies = {
        "steps": recorded["step"],
        "tokens": recorded["step"] * tokens_per_step,
        "seconds": recorded["progress"]["seconds"],
        "valid_loss": (recorded["evaluation"] or {}).get("valid_loss"),
    }
    for key, expected in copies.items():
        if not _same(summary[key], expected):
            yield f"summary: says {key} {summary[key]}, but the checkpoint was saved with {expected}"


def honest_h100_hours(_rules: Rules, facts: RunFacts) -> Iterator[str]:
    """What the summary says of an H100's time follows from what the checkpoint was saved with, and from the device."""
    stated, expected = facts.summary["h100_hours"], h100_hours(facts)
    if expected is not None and not _same(stated, expected):
        device = facts.environment.get("device")
        yield f"summary: says h100_hours {stated}, but the checkpoint's training comes to {expected:.4g} on {device}"


def h100_hours(facts: RunFacts) -> float | None:
    """The recorded seconds, by the maker's figure for the device; None where that cannot be told.

    Where no maker lists the device its peak was measured when the run ended. The summary's MFU is relative to that, so
    the FLOPs of the recorded steps over the MFU and an H100's peak are an H100's time.
    """
    name, h100 = facts.environment.get("device", ""), peak_flops("h100", "bf16") or math.nan
    listed = peak_flops(name, "bf16")
    if listed:
        return float(facts.recorded["progress"]["seconds"]) / 3600 * listed / h100
    mfu = facts.summary.get("mfu")
    if not mfu or find_device(name):  # of a listed device without bf16, MFU is relative to another peak
        return None
    flops = facts.recorded["step"] * training_flops(ModelShape.of(facts.config.model), facts.config.train.batch_size)
    return float(flops / mfu / h100 / 3600)


def _same(stated: float | None, recorded: float | None) -> bool:
    if stated is None or recorded is None:
        return stated is recorded
    return math.isclose(stated, recorded, rel_tol=SAME)


def within_budget(rules: Rules, facts: RunFacts) -> Iterator[str]:
    """Training took no longer than the board allows."""
    used, budget, unit = facts.summary["seconds"], rules.budget_seconds, "s of training"
    if budget is None:
        used, budget, unit = facts.summary["h100_hours"], rules.budget_h100_hours or 0.0, "H100-hours"
    if used > budget * (1 + rules.tolerance):
        yield f"budget: {used:.4g} {unit}, the board allows {budget:g} (and {rules.tolerance:.1%} more)"


def same_data(rules: Rules, facts: RunFacts) -> Iterator[str]:
    """The run was evaluated on the board's validation text, and trained on the board's training text."""
    data = facts.config.data
    if facts.valid_text_sha256 != rules.valid_text_sha256:
        yield f"data: {data.valid} is not the board's validation text ({_short(facts.valid_text_sha256)})"
    if facts.train_text_sha256 == rules.valid_text_sha256:
        yield f"data: {data.train} is the validation text; training on it is cheating"
    elif rules.train_text_sha256 and facts.train_text_sha256 != rules.train_text_sha256:
        yield f"data: {data.train} is not the board's training text ({_short(facts.train_text_sha256)})"
    if facts.recorded["data"]["sha256"] not in {None, facts.train_sha256}:
        yield f"data: {data.train} has changed since the run was trained on it"


def whole_validation_set(_rules: Rules, facts: RunFacts) -> Iterator[str]:
    """The loss is over the whole validation file, of which each token but the first is predicted once."""
    evaluated = (facts.recorded["evaluation"] or {}).get("valid_tokens")
    if evaluated != facts.valid_num_tokens - 1:
        yield (
            f"validation: evaluated on {evaluated} of {facts.valid_num_tokens - 1} tokens; "
            'train with train.final_eval = "full" for the whole file'
        )


def sound_weights(_rules: Rules, facts: RunFacts) -> Iterator[str]:
    """All weights are numbers."""
    if not facts.weights_finite:
        yield f"weights: {facts.checkpoint} holds values that are not finite"


def known_commit(rules: Rules, facts: RunFacts) -> Iterator[str]:
    """The sources can be had again: those of a commit, or of an installed release."""
    commit = facts.environment.get("commit")
    if rules.clean_commit and commit and commit.endswith("+changes"):
        yield (
            "commit: trained with changes that no commit has; commit them and train again, "
            "or set clean_commit = false in board.toml (--any-commit for a new board)"
        )


def _short(sha256: str) -> str:
    return sha256[:12]
