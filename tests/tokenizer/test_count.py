"""Counting pre-tokens."""

from pathlib import Path
from typing import Any

import pytest

from tinylm.tokenizer import processes, text_stream
from tinylm.tokenizer.count import count_pretokens
from tinylm.tokenizer.sources import whole
from tinylm.tokenizer.word_counts import CountSettings

TEXT = "The cat sat. The cat's hat!\n<|endoftext|>\nDer Bär saß. 天地 玄黄\n" * 20


def count(paths: list[Path], *special_tokens: str, **options: Any) -> dict[bytes, int]:
    """The counts of GPT-2's pre-tokens."""
    return count_pretokens(whole(paths), CountSettings("gpt2", special_tokens), **options).as_dict()


def test_special_tokens_bound_and_do_not_count(tmp_path: Path) -> None:
    """`the<|x|>re` is two pre-tokens and a special token, which is not counted."""
    (tmp_path / "a").write_text("the<|x|>re the")
    assert count([tmp_path / "a"], "<|x|>") == {b"the": 1, b"re": 1, b" the": 1}


def test_pretokens_do_not_cross_files(tmp_path: Path) -> None:
    """The end of a file ends a pre-token."""
    (tmp_path / "a").write_text("the")
    (tmp_path / "b").write_text("re")
    assert count([tmp_path / "a", tmp_path / "b"]) == {b"the": 1, b"re": 1}


def test_blocks_and_workers_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The counts are the same in one block here and in many small blocks in two workers."""
    (tmp_path / "a").write_text(TEXT)
    here = count([tmp_path / "a"], "<|endoftext|>", num_threads=1)
    assert here[b" cat"] == 40
    monkeypatch.setattr(processes, "FEW", 0)
    monkeypatch.setattr(text_stream, "READ_BYTES", 100)
    monkeypatch.setattr(text_stream, "BLOCK_CHARACTERS", 200)
    assert count([tmp_path / "a"], "<|endoftext|>", num_threads=2) == here


def test_progress_ends_at_the_size_of_the_input(tmp_path: Path) -> None:
    """`on_bytes` is told of every byte read."""
    (tmp_path / "a").write_text("één")
    seen: list[int] = []
    count([tmp_path / "a", tmp_path / "a"], on_bytes=seen.append)
    assert seen == [5, 10]
