"""Writing token files."""

import errno
import hashlib
import json
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinylm.data import token_writer
from tinylm.data.token_file import Format, open_tokens
from tinylm.data.token_writer import ArrayStream, write_tokens
from tinylm.errors import TinylmError

BLOCKS = st.lists(st.lists(st.integers(0, 65_535), min_size=1), min_size=1)


@settings(max_examples=25)  # each is five synced files
@given(blocks=BLOCKS)
def test_blocks_become_one_array(blocks: list[list[int]], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever the blocks, the file is the array that numpy would have saved in one go, offsets counted over all."""
    path = tmp_path_factory.mktemp("blocks") / "a.npy"
    with write_tokens(path, vocab_size=65_536, tokenizer="f") as writer:
        for block in blocks:
            writer.append(np.array(block), np.array([0]))
    loaded = np.load(path)
    assert loaded.dtype == np.uint16
    assert loaded.tolist() == [id for block in blocks for id in block]
    lengths = [len(block) for block in blocks]
    assert np.load(path.with_suffix(".offsets.npy")).tolist() == [sum(lengths[:i]) for i in range(len(blocks))]


@pytest.mark.parametrize(("file_format", "dtype"), [("npy", "uint16"), ("bin", "uint16"), ("bin", "uint32")])
def test_the_description(file_format: Format, dtype: str, tmp_path: Path) -> None:
    """The description has every fixed key, and what it says is so."""
    path = tmp_path / f"a.{file_format}"
    vocab_size = 300 if dtype == "uint16" else 100_000
    with write_tokens(path, vocab_size=vocab_size, tokenizer="f" * 64, file_format=file_format) as writer:
        writer.append(np.array([5, 6, 7]), np.array([0, 1]))
        writer.input_bytes = 10
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "schema": 1,
        "tokenizer": "f" * 64,
        "vocab_size": vocab_size,
        "num_tokens": 3,
        "num_documents": 2,
        "input_bytes": 10,
        "dtype": dtype,
        "document_offsets": "a.offsets.npy",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    assert open_tokens(path).tokens.tolist() == [5, 6, 7]
    if file_format == "bin":
        assert path.read_bytes() == np.array([5, 6, 7], dtype).tobytes()


def test_an_id_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    """No id is ever wrapped, as `astype` alone would do; nothing is left of the file."""
    for ids in ([70_000], [-1]):
        with pytest.raises(OverflowError), write_tokens(tmp_path / "a.npy", vocab_size=300, tokenizer="f") as writer:
            writer.append(np.array(ids), np.array([0]))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """When a write fails, the half-written files go, and what was there before stays."""
    path = tmp_path / "a.npy"
    path.write_text("before")

    def no_space(_stream: ArrayStream) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ArrayStream, "finish", no_space)
        with (
            pytest.raises(OSError, match=r"No space.*a\.npy"),
            write_tokens(path, vocab_size=300, tokenizer="f") as writer,
        ):
            writer.append(np.array([1]), np.array([0]))
    assert [file.name for file in tmp_path.iterdir()] == ["a.npy"]
    assert path.read_text() == "before"


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError(errno.ENOSPC, "full")])
def test_stopped_between_its_names(stop: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so for the next run, and a reader of what is half of one run and half of another is told."""
    path = tmp_path / "a.npy"

    def write(num_documents: int) -> None:
        with write_tokens(path, vocab_size=300, tokenizer="f") as writer:
            writer.append(np.arange(9), np.arange(num_documents))

    write(2)
    with monkeypatch.context() as patch, pytest.raises(type(stop)):
        patch.setattr(token_writer, "write_json", Mock(side_effect=stop))
        write(3)
    assert token_writer.half_renamed(path)
    with pytest.raises(TinylmError, match=r"offsets\.npy: has 3 documents, a\.json says 2; encode the text again"):
        _ = open_tokens(path).document_offsets
    write(3)
    assert not token_writer.half_renamed(path)
    assert {file.name for file in tmp_path.iterdir()} == {"a.npy", "a.json", "a.offsets.npy"}


def test_a_header_may_grow(tmp_path: Path) -> None:
    """The header written first, for no values, takes as much room as the last one, for a number of many digits."""
    with (tmp_path / "a").open("wb") as stream:
        array = ArrayStream(stream, np.dtype("<u2"))
        before = stream.tell()
        array.length = 10**15
        array.finish()
        assert stream.tell() == before
