"""Reading token files."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinylm.data.token_file import open_tokens, token_dtype, tokens_from_bytes
from tinylm.data.token_writer import write_tokens
from tinylm.errors import TinylmError, UsageError


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A token file of two documents, by a tokenizer of 300 tokens."""
    path = tmp_path / "text.npy"
    with write_tokens(path, vocab_size=300, tokenizer="f" * 64) as writer:
        writer.append(np.array([1, 299, 2]), np.array([0, 2]))
        writer.input_bytes = 12
    return path


def test_the_type_is_the_smallest_that_holds_every_id() -> None:
    """65,536 ids fit in uint16, one more does not; on disk both are little-endian."""
    assert [token_dtype(size).str for size in (1, 65_536, 65_537)] == ["<u2", "<u2", "<u4"]


def test_tokens_are_a_read_only_map(written: Path) -> None:
    """The tokens are mapped, not read, and cannot be written to by mistake."""
    tokens = open_tokens(written).tokens
    assert isinstance(tokens, np.memmap)
    assert not tokens.flags.writeable
    assert tokens.tolist() == [1, 299, 2]


def test_document_offsets(written: Path) -> None:
    """The positions where documents begin lie beside the tokens; a foreign file has none."""
    offsets = open_tokens(written).document_offsets
    assert offsets is not None
    assert offsets.tolist() == [0, 2]
    written.with_suffix(".json").unlink()
    assert open_tokens(written).document_offsets is None


def test_another_tokenizers_file(written: Path) -> None:
    """A file made by another tokenizer is refused; one without description is taken at its word."""
    file = open_tokens(written)
    file.require_tokenizer("f" * 64)
    with pytest.raises(TinylmError, match=r"text\.npy: made by another tokenizer \(ffffffffffff, not 0{12}\); pass"):
        file.require_tokenizer("0" * 64)
    written.with_suffix(".json").unlink()
    open_tokens(written).require_tokenizer("0" * 64)


def test_ids_that_the_model_does_not_have(written: Path) -> None:
    """The tokenizer's vocabulary has to fit the model's; without description the largest id has to."""
    open_tokens(written).require_vocab_size(300)
    with pytest.raises(UsageError, match=r"ids up to 299, .* vocab_size is 299; use --set model.vocab_size=300"):
        open_tokens(written).require_vocab_size(299)
    written.with_suffix(".json").unlink()
    open_tokens(written).require_vocab_size(300)
    with pytest.raises(UsageError, match="ids up to 299"):
        open_tokens(written).require_vocab_size(299)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 4), np.uint16), "holds uint16 values of shape 3x4, not a row"),
        (np.zeros(3, np.float64), "holds float64 values of shape 3, not a row of uint16 or uint32 ids"),
        (np.zeros(3, np.int64), "holds int64 values"),
        (np.zeros(0, np.uint16), "has no tokens"),
    ],
)
def test_arrays_that_are_not_tokens(array: np.ndarray[Any, Any], message: str, tmp_path: Path) -> None:
    """Other arrays are refused, with what they hold."""
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(TinylmError, match=rf"a\.npy: {message}"):
        open_tokens(tmp_path / "a.npy")


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    """A missing file, a directory and a text file are each told apart."""
    (tmp_path / "text.txt").write_text("hello")
    with pytest.raises(TinylmError, match=r"none\.npy: no such file"):
        open_tokens(tmp_path / "none.npy")
    with pytest.raises(TinylmError, match="is a directory, expected a file"):
        open_tokens(tmp_path)
    with pytest.raises(TinylmError, match=r"text\.txt: not a token file; `tinylm encode` makes one"):
        open_tokens(tmp_path / "text.txt")


@pytest.mark.parametrize("length", [9, 100, 130])
def test_a_file_cut_short(length: int, written: Path) -> None:
    """Cut in the header or in the tokens, a file is an error and not a shorter text."""
    written.write_bytes(written.read_bytes()[:length])
    with pytest.raises(TinylmError, match=r"text\.npy: damaged or cut short .*; encode the text again"):
        open_tokens(written)


def test_a_description_of_something_else(written: Path) -> None:
    """A description that is no description, of another version, or of another number of tokens is refused."""
    path = written.with_suffix(".json")
    values = json.loads(path.read_text())
    for changed, message in (
        ({"num_tokens": 3}, r"text\.json: does not describe a token file"),
        (values | {"schema": 2}, r"text\.json: written by another version"),
        (values | {"num_tokens": 4}, r"text\.npy: has 3 tokens, text\.json says 4"),
    ):
        path.write_text(json.dumps(changed))
        with pytest.raises(TinylmError, match=message):
            open_tokens(written)


def test_raw_ids(tmp_path: Path) -> None:
    """A `.bin` file without description is nanoGPT's uint16; half an id at its end is an error."""
    path = tmp_path / "a.bin"
    path.write_bytes(np.array([7, 50_256], "<u2").tobytes())
    assert open_tokens(path).tokens.tolist() == [7, 50_256]
    path.write_bytes(b"abc")
    with pytest.raises(TinylmError, match=r"a\.bin: cut short, 3 bytes are not a whole number of uint16 ids"):
        open_tokens(path)
    path.touch()
    path.write_bytes(b"")
    with pytest.raises(TinylmError, match="has no tokens"):
        open_tokens(path)


def test_tokens_from_a_pipe(written: Path) -> None:
    """A whole file read from a pipe gives the same ids as from disk; damage is an error there too."""
    assert tokens_from_bytes(written.read_bytes(), "standard input", 300).tolist() == [1, 299, 2]
    raw = np.array([1, 70_000], "<u4").tobytes()
    assert tokens_from_bytes(raw, "standard input", 100_000).tolist() == [1, 70_000]
    with pytest.raises(TinylmError, match="standard input: cut short, 7 bytes"):
        tokens_from_bytes(raw[:7], "standard input", 100_000)
    with pytest.raises(TinylmError, match="standard input: damaged or cut short"):
        tokens_from_bytes(written.read_bytes()[:-1], "standard input", 300)


def test_token_files_do_without_torch() -> None:
    """Importing token files does not import torch, which only batches need and which takes seconds."""
    code = "import sys, tinylm.data.token_writer; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
