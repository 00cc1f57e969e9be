"""Whole files through the kernels: chunks, threads, places to go on from, damage."""

import io
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinylm.errors import TinylmError
from tinylm.tokenizer import Tokenizer
from tinylm.tokenizer.count import count_in_python
from tinylm.tokenizer.encode_files import encode_in_python
from tinylm.tokenizer.encoded import BEGINNING, Position
from tinylm.tokenizer.kernels import files
from tinylm.tokenizer.kernels.chunks import read_chunks
from tinylm.tokenizer.kernels.cuts import new_specials
from tinylm.tokenizer.kernels.files import count_files, encode_files
from tinylm.tokenizer.kernels.text_encoder import TextEncoder
from tinylm.tokenizer.sources import Source, whole
from tinylm.tokenizer.text_stream import Invalid
from tinylm.tokenizer.word_counts import CountSettings

TOKENIZER = Tokenizer({byte: bytes([byte]) for byte in range(256)} | {256: b"th"}, [(b"t", b"h")], ["<|e|>"])
TEXT = ("<|e|>the thirty-third 'th'\n\n" + "féur 天地 " * 3 + "x" * 70 + "<|e|>") * 20 + "<|e|>the end"

Encoded = tuple[list[int], list[int], int]


def encode(sources: list[Source], num_threads: int, start: Position = BEGINNING, invalid: Invalid = "error") -> Encoded:
    """All ids, all document starts, all bytes."""
    ids: list[int] = []
    starts: list[int] = []
    bytes_read = 0
    encoders = [TextEncoder(TOKENIZER.kernel_vocabulary) for _ in range(num_threads)]
    for block in encode_files(sources, encoders, invalid=invalid, start=start):
        starts += (block.document_starts + len(ids)).tolist()
        ids += block.ids.tolist()
        bytes_read = block.bytes_read
    return ids, starts, bytes_read


def encode_plainly(sources: list[Source], invalid: Invalid = "error") -> Encoded:
    """The same without kernels."""
    blocks = list(encode_in_python(sources, TOKENIZER, num_workers=1, invalid=invalid))
    before = [0, *accumulate(len(block.ids) for block in blocks)]
    starts = [
        int(start) + offset for block, offset in zip(blocks, before, strict=False) for start in block.document_starts
    ]
    return [id for block in blocks for id in block.ids.tolist()], starts, blocks[-1].bytes_read


@pytest.fixture
def sources(tmp_path: Path) -> list[Source]:
    """Three files, one of them empty."""
    for name, text in (("a", TEXT), ("b", ""), ("c", "<|e|>" + TEXT)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return whole([tmp_path / name for name in "abc"])


@pytest.mark.parametrize("num_threads", [1, 2, 7])
@pytest.mark.parametrize("size", [1, 50, 1000, 1 << 20])
def test_threads_and_chunks_change_nothing(
    num_threads: int, size: int, sources: list[Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids, document starts, bytes and counts are those of the plain modules."""
    monkeypatch.setattr(files, "CHUNK_BYTES", size)
    assert encode(sources, num_threads) == encode_plainly(sources)
    seen: list[int] = []
    words = count_files(sources, ["<|e|>"], invalid="error", num_threads=num_threads, on_bytes=seen.append)
    assert words.as_dict() == count_in_python(sources, CountSettings("gpt2", ("<|e|>",)), num_workers=1)
    assert seen[-1] == encode_plainly(sources)[2]


def test_encoding_goes_on_from_any_block(sources: list[Source], monkeypatch: pytest.MonkeyPatch) -> None:
    """From the position of each block the rest comes out as if there had been no stop."""
    monkeypatch.setattr(files, "CHUNK_BYTES", 100)
    ids, starts, size = encode(sources, 1)
    blocks = encode_files(sources, [TextEncoder(TOKENIZER.kernel_vocabulary)], invalid="error")
    done = 0
    for block in blocks:
        done += len(block.ids)
        assert block.position is not None
        if done < len(ids):
            rest_ids, rest_starts, rest_size = encode(sources, 1, block.position)
            assert (rest_ids, rest_size) == (ids[done:], size)
            assert [start + done for start in rest_starts] == [start for start in starts if start >= done]


@pytest.mark.parametrize("where", [0, 55, 2500])
def test_damage_is_named_or_replaced(where: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the offset in the file; U+FFFD takes the place of what is not UTF-8, as in the plain modules."""
    monkeypatch.setattr(files, "CHUNK_BYTES", 200)
    data = TEXT.encode()
    (tmp_path / "bad").write_bytes(data[:where] + b"\xff\xe5\xa4 \xc3" + data[where:])
    with pytest.raises(TinylmError, match=f"bad: not UTF-8 at byte {where:,} \\(0xff\\)"):
        encode(whole([tmp_path / "bad"]), 2)
    with pytest.raises(TinylmError, match=f"bad: not UTF-8 at byte {where:,} "):
        encode([Source(tmp_path / "bad", start=where)], 1)
    replaced = encode(whole([tmp_path / "bad"]), 1, invalid="replace")
    assert replaced == encode_plainly(whole([tmp_path / "bad"]), invalid="replace")


def test_a_character_cut_off_by_the_end_of_the_file(tmp_path: Path) -> None:
    """It is damage, not silently dropped."""
    (tmp_path / "cut").write_bytes(b"abc\xe5\xa4")
    with pytest.raises(TinylmError, match="cut: not UTF-8 at byte 3 "):
        encode(whole([tmp_path / "cut"]), 1)


def test_no_text(tmp_path: Path) -> None:
    """Empty inputs are an error."""
    (tmp_path / "empty").touch()
    with pytest.raises(TinylmError, match="empty: empty, there is no text in it"):
        encode(whole([tmp_path / "empty"]), 1)


@given(data=st.binary(max_size=300) | st.text().map(str.encode), size=st.integers(1, 40))
def test_chunks_are_the_stream(data: bytes, size: int) -> None:
    """Joined, the chunks are what was read, and their positions say where each one was."""
    found = list(read_chunks(io.BytesIO(data), new_specials({"<|e|>": 0}), size))
    assert b"".join(chunk.tobytes() for chunk in found) == data
    assert [chunk.position for chunk in found] == [0, *accumulate(chunk.size for chunk in found)][: len(found)]
