"""Files to blocks of ids."""

from pathlib import Path

import numpy as np
import pytest

from tinylm.errors import TinylmError
from tinylm.tokenizer import Tokenizer, processes, text_stream
from tinylm.tokenizer.encode_files import encode_files
from tinylm.tokenizer.sources import whole

BYTES = {byte: bytes([byte]) for byte in range(256)}
TEXT = "<|e|>one two<|e|><|e|>three\n\nféur <|e|>"


@pytest.fixture
def tokenizer() -> Tokenizer:
    """Bytes, a merge, and a special token with id 257."""
    return Tokenizer(BYTES | {256: b"th"}, [(b"t", b"h")], ["<|e|>"])


def encode(paths: list[Path], tokenizer: Tokenizer, num_threads: int) -> tuple[list[int], list[int], int]:
    """All ids, all document starts, all bytes."""
    ids: list[int] = []
    starts: list[int] = []
    bytes_read = 0
    for block in encode_files(whole(paths), tokenizer, num_threads=num_threads):
        starts += (block.document_starts + len(ids)).tolist()
        ids += block.ids.tolist()
        bytes_read = block.bytes_read
    return ids, starts, bytes_read


def test_documents_end_with_special_tokens_and_files(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """A document begins with a file and after each special token, unless nothing follows."""
    (tmp_path / "a").write_text("x<|e|>th<|e|>")
    (tmp_path / "b").write_text("t")
    ids, starts, bytes_read = encode([tmp_path / "a", tmp_path / "b"], tokenizer, 1)
    assert ids == [ord("x"), 257, 256, 257, ord("t")]
    assert starts == [0, 2, 4]
    assert bytes_read == 14


def test_without_special_tokens_a_file_is_a_document(tmp_path: Path) -> None:
    """A tokenizer may have no special tokens at all."""
    (tmp_path / "a").write_text("xy")
    assert encode([tmp_path / "a"] * 2, Tokenizer(BYTES, []), 1)[1] == [0, 2]


def test_workers_and_block_size_change_nothing(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids and document starts of many small blocks in two workers are those of the whole text."""
    (tmp_path / "a").write_text(TEXT, encoding="utf-8")
    expected = encode([tmp_path / "a"] * 3, tokenizer, 1)
    assert expected[0] == tokenizer.encode(TEXT) * 3
    monkeypatch.setattr(processes, "FEW", 0)
    monkeypatch.setattr(text_stream, "READ_BYTES", 3)
    monkeypatch.setattr(text_stream, "BLOCK_CHARACTERS", 2)
    assert encode([tmp_path / "a"] * 3, tokenizer, 2) == expected


def test_blocks_are_arrays_of_ids(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """Ids are uint32, whatever the vocabulary; the file decides how to store them."""
    (tmp_path / "a").write_text("x")
    (block,) = encode_files(whole([tmp_path / "a"]), tokenizer)
    assert block.ids.dtype == np.uint32


def test_no_text(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """Nothing to encode is an error."""
    (tmp_path / "a").touch()
    with pytest.raises(TinylmError, match="empty"):
        list(encode_files(whole([tmp_path / "a"]), tokenizer))
