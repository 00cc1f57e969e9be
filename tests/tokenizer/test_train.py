"""Training a tokenizer from text files."""

from pathlib import Path

import pytest

from tinylm.errors import TinylmError, UsageError
from tinylm.tokenizer import Tokenizer, TrainingProgress, processes, text_stream, train_bpe

# The example of CS336 and of Sennrich et al., arXiv 1508.07909: most frequent first, ties to the greater pair.
LOWEST = "low " * 5 + "lower " * 2 + "widest " * 3 + "newest " * 6


@pytest.fixture
def lowest(tmp_path: Path) -> Path:
    """The file of the worked example."""
    path = tmp_path / "lowest.txt"
    path.write_text(LOWEST)
    return path


def test_the_worked_example(lowest: Path) -> None:
    """The first six merges are those of the worked example, where white space separates and is dropped."""
    merges = train_bpe(lowest, 256 + 6, pattern=r"\S+").merges
    assert merges == [(b"s", b"t"), (b"e", b"st"), (b"o", b"w"), (b"l", b"ow"), (b"w", b"est"), (b"n", b"e")]


def test_ids_are_bytes_then_merges_then_special_tokens(lowest: Path) -> None:
    """Bytes are 0..255, merges follow in the order learned, special tokens come last."""
    tokenizer = train_bpe(lowest, 256 + 4 + 2, ["<|b|>", "<|a|>"])
    assert [tokenizer.vocab[byte] for byte in range(256)] == [bytes([byte]) for byte in range(256)]
    assert [tokenizer.vocab[256 + rank] for rank in range(4)] == [left + right for left, right in tokenizer.merges]
    assert (tokenizer.vocab[260], tokenizer.vocab[261]) == (b"<|b|>", b"<|a|>")
    assert len(tokenizer.vocab) == tokenizer.vocab_size == 262


def test_special_tokens_are_not_learned_from(tmp_path: Path) -> None:
    """However often a special token occurs, nothing of it and nothing across it is merged."""
    (tmp_path / "a").write_text("ab<|x|>" * 100)
    assert train_bpe(tmp_path / "a", 300, ["<|x|>"]).merges == [(b"a", b"b")]


def test_a_repeated_special_token_counts_once(lowest: Path) -> None:
    """Asking twice for a special token is asking once."""
    assert len(train_bpe(lowest, 257, ["<|x|>", "<|x|>"]).vocab) == 257


def test_text_that_runs_out_of_pairs(lowest: Path) -> None:
    """The tokenizer is smaller than asked for, and complete."""
    tokenizer = train_bpe(lowest, 10_000, ["<|x|>"])
    assert len(tokenizer.vocab) == 256 + len(tokenizer.merges) + 1 < 300
    assert tokenizer.decode(tokenizer.encode(LOWEST)) == LOWEST


def test_a_vocabulary_too_small(lowest: Path) -> None:
    """256 bytes and the special tokens have to fit, and just fitting is enough."""
    assert train_bpe(lowest, 257, ["<|x|>"]).merges == []
    with pytest.raises(
        UsageError, match="vocab_size 256 is too small: it takes 257, 256 for the bytes and 1 for special"
    ):
        train_bpe(lowest, 256, ["<|x|>"])


def test_several_files_and_empty_input(lowest: Path, tmp_path: Path) -> None:
    """A sequence of paths is one text; no text at all is an error."""
    assert train_bpe([lowest, str(lowest)], 270).merges == train_bpe(lowest, 270).merges
    (tmp_path / "empty").touch()
    with pytest.raises(TinylmError, match="empty: empty, there is no text"):
        train_bpe(tmp_path / "empty", 300)


def test_workers_and_block_size_change_nothing(lowest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One process with one block and two processes with many blocks learn the same tokenizer."""
    expected = train_bpe(lowest, 280, ["<|x|>"], num_threads=1)
    monkeypatch.setattr(processes, "FEW", 0)
    monkeypatch.setattr(text_stream, "READ_BYTES", 7)
    monkeypatch.setattr(text_stream, "BLOCK_CHARACTERS", 20)
    trained = train_bpe(lowest, 280, ["<|x|>"], num_threads=2)
    assert (trained.vocab, trained.merges) == (expected.vocab, expected.merges)
    assert trained.fingerprint == expected.fingerprint


def test_progress(lowest: Path) -> None:
    """Both stages report how far they are, up to their total."""
    seen: list[TrainingProgress] = []
    train_bpe(lowest, 258, on_progress=seen.append)
    size = lowest.stat().st_size
    assert seen == [
        TrainingProgress("counting", size, size),
        TrainingProgress("merging", 1, 2),
        TrainingProgress("merging", 2, 2),
    ]


def test_invalid_bytes_can_be_replaced(tmp_path: Path) -> None:
    """`invalid="replace"` learns from U+FFFD in place of the bytes that are not UTF-8."""
    (tmp_path / "a").write_bytes(b"\xff\xff")
    tokenizer: Tokenizer = train_bpe(tmp_path / "a", 258, invalid="replace")
    assert "".join(map(repr, tokenizer.merges)) == r"(b'\xef', b'\xbf')(b'\xef\xbf', b'\xbd')"
