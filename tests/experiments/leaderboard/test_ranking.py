"""Ranks by loss and by bits per byte, and what entries do differently."""

from typing import Any

from tinylm.experiments.leaderboard.board import Entry
from tinylm.experiments.leaderboard.ranking import rank


def entry(name: str, valid_loss: float, bits_per_byte: float, *, tokenizer: str = "t1", lr: float = 1e-3) -> Entry:
    """An entry with what matters for ranking."""
    others: dict[str, Any] = dict.fromkeys(("run", "added", "commit", "device", "checkpoint", "checkpoint_sha256"), "")
    figures = dict.fromkeys(("steps", "tokens", "seconds", "h100_hours", "tokens_per_second", "valid_perplexity"), 1)
    config = {"optim": {"lr": lr}, "data": {"tokenizer": f"data/{name}", "train": f"data/{name}.npy"}}
    return Entry(
        name=name, round=None, config=config, tokenizer=tokenizer, valid_loss=valid_loss, bits_per_byte=bits_per_byte,
        num_parameters=1, **others, **figures,
    )  # fmt: skip


def test_the_two_ranks_can_differ() -> None:
    """A larger vocabulary has a higher loss a token, for fewer tokens: only bits per byte compare."""
    entries = [entry("small", 3.0, 1.2, tokenizer="t1"), entry("large", 3.5, 1.1, tokenizer="t2")]
    by_loss, by_bits = rank(entries, "valid_loss"), rank(entries, "bits_per_byte")
    assert [(r.entry.name, r.rank, r.rank_valid_loss, r.rank_bits_per_byte) for r in by_loss] == [
        ("small", 1, 1, 2), ("large", 2, 2, 1),
    ]  # fmt: skip
    assert [(r.entry.name, r.rank) for r in by_bits] == [("large", 1), ("small", 2)]


def test_differences_are_settings_and_tokenizers() -> None:
    """Where the files lie is no difference."""
    (first, second) = rank([entry("a", 3.0, 1.2), entry("b", 3.1, 1.3, lr=2e-3)], "valid_loss")
    assert (first.differences, second.differences) == ({"optim.lr": 1e-3}, {"optim.lr": 2e-3})
    (first, second) = rank([entry("a", 3.0, 1.2), entry("b", 3.1, 1.3, tokenizer="t2")], "valid_loss")
    assert (first.differences, second.differences) == ({"data.tokenizer": "t1"}, {"data.tokenizer": "t2"})


def test_an_empty_board_ranks_nothing() -> None:
    """No entries, no ranks."""
    assert rank([], "valid_loss") == []
