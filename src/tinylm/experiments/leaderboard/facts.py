"""What a run really is: its figures, and what its checkpoint and its data say."""

import hashlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from tinylm.data.token_file import Tokens, open_tokens
from tinylm.errors import NegativeResultError, TinylmError
from tinylm.experiments.leaderboard.board import Entry
from tinylm.experiments.leaderboard.rules import RunFacts
from tinylm.files import read_json, sha256
from tinylm.tokenizer import Tokenizer
from tinylm.training.checkpoint import MANIFEST, read_state, verify_checkpoint
from tinylm.training.evaluation import bits_per_byte, perplexity
from tinylm.training.run_directory import RunDirectory
from tinylm.training.trained import TrainedModel

CHUNK_TOKENS = 1 << 20


@dataclass(frozen=True, slots=True)
class TextFacts:
    """The text that a token file stands for."""

    sha256: str
    num_tokens: int
    num_bytes: int


def text_facts(tokens: Tokens, tokenizer: Tokenizer) -> TextFacts:
    """Decode all tokens and hash the bytes: the same text has the same hash under every tokenizer."""
    digest, num_bytes = hashlib.sha256(), 0
    for start in range(0, len(tokens), CHUNK_TOKENS):
        text = tokenizer.decode_bytes(tokens[start : start + CHUNK_TOKENS].tolist())
        digest.update(text)
        num_bytes += len(text)
    return TextFacts(digest.hexdigest(), len(tokens), num_bytes)


def gather_facts(path: Path) -> RunFacts:
    """Everything that rules ask about.

    Raises: TinylmError when the run has not ended or its files are damaged; NegativeResultError when it diverged.
    """
    run = RunDirectory.existing(path)
    summary, config = run.summary(), run.config()
    if summary is None or summary["status"] == "stopped":
        raise TinylmError(f"{path}: has not ended; run the same `tinylm train` command again to go on")
    if summary["status"] == "diverged":
        raise NegativeResultError(f"{path}: diverged, there is nothing to enter")
    checkpoint, damaged = run.newest_checkpoint()
    if checkpoint is None:
        raise TinylmError("; ".join([f"{path}: no usable checkpoint", *damaged]))
    trained = TrainedModel.load(checkpoint)
    train = text_facts(open_tokens(config.data.train).tokens, trained.tokenizer)
    valid = text_facts(open_tokens(config.data.valid).tokens, trained.tokenizer)
    return RunFacts(
        run=path,
        config=config,
        summary=summary,
        environment=read_json(run.path / "environment.json"),
        checkpoint=checkpoint.name,
        recorded={"step": trained.step, **read_state(checkpoint)},
        checkpoint_sha256=checkpoint_sha256(checkpoint),
        weights_finite=all(bool(torch.isfinite(parameter).all()) for parameter in trained.model.parameters()),
        num_parameters=sum(parameter.numel() for parameter in trained.model.parameters()),
        train_sha256=sha256(config.data.train),
        train_text_sha256=train.sha256,
        valid_text_sha256=valid.sha256,
        valid_num_tokens=valid.num_tokens,
        valid_num_bytes=valid.num_bytes,
    )


def checkpoint_sha256(checkpoint: Path) -> str:
    """Of an undamaged checkpoint's manifest, which has the hashes of its files. Raises: TinylmError when damaged."""
    verify_checkpoint(checkpoint)
    return sha256(checkpoint / MANIFEST)


def entry_from(facts: RunFacts, board: Path, *, name: str, round: str | None) -> Entry:
    """The entry that a run makes; what it says per byte is worked out from the text, not taken from the run."""
    summary, environment = facts.summary, facts.environment
    return Entry(
        name=name,
        round=round,
        run=os.path.relpath(facts.run, board),
        added=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=environment["commit"] or f"release {environment['tinylm']}",
        device=environment["device"],
        config=facts.config.model_dump(),
        tokenizer=Tokenizer.load(RunDirectory(facts.run).tokenizer).fingerprint,
        checkpoint=facts.checkpoint,
        checkpoint_sha256=facts.checkpoint_sha256,
        valid_loss=summary["valid_loss"],
        valid_perplexity=perplexity(summary["valid_loss"]),
        bits_per_byte=bits_per_byte(summary["valid_loss"], facts.valid_num_bytes / facts.valid_num_tokens),
        num_parameters=facts.num_parameters,
        steps=summary["steps"],
        tokens=summary["tokens"],
        seconds=summary["seconds"],
        h100_hours=summary["h100_hours"],
        tokens_per_second=summary["tokens_per_second"],
    )
