"""Who is first, and what entries do differently. Imports no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tinylm.experiments.differences import differences
from tinylm.experiments.leaderboard.board import Entry

By = Literal["valid_loss", "bits_per_byte"]


@dataclass(frozen=True, slots=True)
class Ranked:
    """An entry and its place among the others."""

    entry: Entry
    rank: int
    """By what was asked for."""
    rank_valid_loss: int
    rank_bits_per_byte: int
    """Fair across tokenizers: what a byte of text costs, however many tokens it takes."""
    differences: dict[str, Any]
    """Its settings under the keys in which entries differ."""


def rank(entries: Sequence[Entry], by: By) -> list[Ranked]:
    """The entries, best first."""
    by_loss = sorted(entries, key=lambda entry: entry.valid_loss)
    by_bits = sorted(entries, key=lambda entry: entry.bits_per_byte)
    differing = differences({entry.name: _without_data(entry) for entry in entries})
    order = by_loss if by == "valid_loss" else by_bits
    return [
        Ranked(
            entry=entry,
            rank=place,
            rank_valid_loss=by_loss.index(entry) + 1,
            rank_bits_per_byte=by_bits.index(entry) + 1,
            differences=differing[entry.name],
        )
        for place, entry in enumerate(order, start=1)
    ]


def _without_data(entry: Entry) -> dict[str, Any]:
    """Where files lie is no difference; that tokenizers differ is."""
    return {**entry.config, "data": {"tokenizer": entry.tokenizer[:8]}}
