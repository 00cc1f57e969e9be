"""Evaluating an entry's checkpoint again, and comparing."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from tinylm.configs.run import RunConfig
from tinylm.data.batches import validation_batches
from tinylm.data.token_file import Tokens, open_tokens
from tinylm.errors import NegativeResultError, TinylmError
from tinylm.experiments.leaderboard.board import Board, Entry
from tinylm.experiments.leaderboard.facts import checkpoint_sha256, text_facts
from tinylm.experiments.leaderboard.rules import Rules
from tinylm.model.build import build_loss
from tinylm.training import evaluation
from tinylm.training.device import choose_execution
from tinylm.training.run_directory import RunDirectory
from tinylm.training.trained import TrainedModel


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of checking one entry."""

    name: str
    claimed: float
    """The loss entered, in nats per token."""
    measured: float | None
    """The loss found; None when it did not come to that."""
    holds: bool | None
    """None when it could not be checked: that says nothing against the entry."""
    reason: str
    """Why it does not hold, or could not be checked; empty when it holds."""


def verify(board: Board, entries: list[Entry]) -> Iterator[Verification]:
    """Check the entries one after another, and note in each entry's file what was found."""
    rules = board.rules()
    for entry in entries:
        outcome = verify_entry(board, entry, rules)
        if outcome.holds is not None:
            board.replace(dataclasses.replace(entry, verified=outcome.holds, verified_loss=outcome.measured))
        yield outcome


def verify_entry(board: Board, entry: Entry, rules: Rules) -> Verification:
    """Whether the entry's checkpoint, on the board's validation text, has the loss that was entered."""
    try:
        measured = measured_loss(board, entry, rules)
    except TinylmError as error:
        holds = False if isinstance(error, NegativeResultError) else None
        return Verification(entry.name, entry.valid_loss, None, holds, str(error))
    holds = abs(measured - entry.valid_loss) <= rules.verify_tolerance
    reason = "" if holds else f"evaluates to {measured:.4f}, entered as {entry.valid_loss:.4f}"
    return Verification(entry.name, entry.valid_loss, measured, holds, reason)


def measured_loss(board: Board, entry: Entry, rules: Rules) -> float:
    """Mean loss over the whole validation file.

    Raises: NegativeResultError when the weights are not those entered; TinylmError when weights or text are not here.
    """
    run = RunDirectory.existing(board.run(entry))
    checkpoint = run.checkpoints / entry.checkpoint
    if checkpoint_sha256(checkpoint) != entry.checkpoint_sha256:
        raise NegativeResultError(f"{checkpoint}: holds other weights than were entered")
    trained = TrainedModel.load(checkpoint)
    config = run.config()
    tokens = open_tokens(config.data.valid).tokens
    if text_facts(tokens, trained.tokenizer).sha256 != rules.valid_text_sha256:
        raise TinylmError(f"{config.data.valid}: is not the board's validation text")
    return evaluate(trained, tokens, config)


def evaluate(trained: TrainedModel, tokens: Tokens, config: RunConfig) -> float:
    """Mean loss in nats per token over all of `tokens`, in the precision that the run has on this machine's device."""
    execution = choose_execution(config.train.model_copy(update={"device": "auto", "compile": "off"}))
    batches = validation_batches(
        tokens,
        config.train.batch_size // config.train.grad_accumulation,
        config.model.context_length,
        num_batches=0,
        device=execution.device,
    )
    return evaluation.evaluate(trained.model.to(execution.device), batches, build_loss(config.model), execution).loss
