"""Reading text of any size: decoding across pieces, and cuts that change no token."""

import io
import sys
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from tinylm.errors import TinylmError
from tinylm.tokenizer import text_stream
from tinylm.tokenizer.pretokenize import PATTERNS, pretokenizer
from tinylm.tokenizer.sources import Source, whole
from tinylm.tokenizer.special import SpecialSplitter
from tinylm.tokenizer.text_stream import BEFORE_SAFE_CUT, SAFE_CUT, TextReader, read_blocks, safe_blocks

TRICKY = "aAéß字กา’'sS019²½ \t\n\r\x85\u00a0\u3000\u0301-/.!😀"
DENSE = st.lists(st.sampled_from(["a", "B", "字", "'s", "'", "\u0301", " ", "\n", "\r", "12", ".", "/"])).map("".join)
TEXT = DENSE | st.text(st.sampled_from(TRICKY) | st.characters(exclude_categories=["Cs", "Cn"]))
SPECIALS = ["<|a b|>", "<|a b|><|c|>", "\n\n"]
TEXT_WITH_SPECIALS = st.lists(st.one_of(TEXT, st.sampled_from([*SPECIALS, "<|a b|", "<|", "<|c|>"]))).map("".join)


def pieces(text: str, cuts: Iterable[int]) -> list[str]:
    """The text, cut anywhere."""
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[start:stop] for start, stop in pairwise(places)]


def all_tokens(text: str, splitter: SpecialSplitter, pattern: str) -> list[str]:
    """Special tokens and pre-tokens of a text taken as a whole."""
    split = pretokenizer(pattern)
    parts = splitter.split(text)
    return [word for part in parts for word in ([part] if part in splitter.special_tokens else split(part))]


@pytest.mark.parametrize("name", PATTERNS)
@given(text=TEXT)
@example(text="it's")
@example(text="e\u0301")
@example(text="a!\n/b")
@example(text="x  y 12345")
def test_a_safe_cut_changes_no_pretoken(name: str, text: str) -> None:
    """At every place where a cut is allowed, both sides, pre-tokenized apart, give the pre-tokens of the whole."""
    split = pretokenizer(name)
    whole = list(split(text))
    for match in regex.finditer(SAFE_CUT, text, overlapped=True):
        assert [*split(text[: match.end()]), *split(text[match.end() :])] == whole


def test_ordinary_text_is_full_of_safe_cuts() -> None:
    """English, Chinese and source code can be cut often, or memory would not be bounded."""
    for text in ("The cat, they say, sat.\n" * 9, "天地玄黄，宇宙洪荒。\n" * 9, "if (x[i]==0){\n\ty+=1;\n}\n" * 9):
        cuts = sorted([0, *(match.end() for match in BEFORE_SAFE_CUT.finditer(text)), len(text)])
        assert max(stop - start for start, stop in pairwise(cuts)) <= 8


@pytest.mark.parametrize("pattern", [*PATTERNS, r"\S+\s\S+", r"(?<=b)a|[^a]+"])
@given(text=TEXT_WITH_SPECIALS, cuts=st.lists(st.integers(0, 1000)), size=st.integers(1, 30))
def test_blocks_have_the_tokens_of_the_whole(pattern: str, text: str, cuts: list[int], size: int) -> None:
    """However a text is cut into pieces, its blocks have, one after the other, the tokens of the whole text."""
    splitter = SpecialSplitter(SPECIALS)
    blocks = list(safe_blocks(pieces(text, cuts), splitter, pattern, size))
    assert "".join(blocks) == text
    tokens = [word for block in blocks for word in all_tokens(block, splitter, pattern)]
    assert tokens == all_tokens(text, splitter, pattern)


def test_blocks_are_small() -> None:
    """Blocks of ordinary text are near the size asked for."""
    blocks = list(safe_blocks(["a word "] * 10_000, SpecialSplitter(["<|end|>"]), "gpt2", 100))
    assert max(map(len, blocks)) < 120


@given(data=st.binary(), read_bytes=st.integers(1, 5))
def test_decoding_in_pieces_equals_decoding_at_once(
    data: bytes, read_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A character cut by the end of a read is whole; damage gives the same U+FFFD, or the same offset, as at once."""
    path = tmp_path_factory.getbasetemp() / "decoding"
    data = b"-" + data  # or it could begin as compressed files do
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_stream, "READ_BYTES", read_bytes)
        assert "".join(TextReader(Source(path), "replace")) == data.decode(errors="replace")
        try:
            text = data.decode()
        except UnicodeDecodeError as at_once:
            with pytest.raises(TinylmError, match=f"not UTF-8 at byte {at_once.start} "):
                list(TextReader(Source(path)))
        else:
            assert "".join(TextReader(Source(path))) == text


def test_the_offset_is_that_of_the_file(tmp_path: Path) -> None:
    """The error names the file and counts from its beginning, also after the first read."""
    path = tmp_path / "latin.txt"
    path.write_bytes(b"x" * 3_000_000 + b"caf\xe9 ole")
    with pytest.raises(TinylmError, match=r"latin.txt: not UTF-8 at byte 3,000,003 \(0xe9\); --invalid replace"):
        list(TextReader(Source(path)))


def test_blocks_do_not_cross_files(tmp_path: Path) -> None:
    """A file's first block says so, no block has text of two files, and bytes are counted over all."""
    for name in "ab":
        (tmp_path / name).write_text("one two")
    blocks = list(read_blocks(whole([tmp_path / "a", tmp_path / "b"]), SpecialSplitter([]), "gpt2"))
    assert [(block.text, block.starts_source, block.bytes_read) for block in blocks] == [
        ("one two", True, 7),
        ("one two", True, 14),
    ]


def test_no_text_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty files are an error that names them, but not beside one that has text."""
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("x")
    with pytest.raises(TinylmError, match="empty: empty, there is no text in it"):
        list(read_blocks(whole([tmp_path / "empty"]), SpecialSplitter([]), "gpt2"))
    assert len(list(read_blocks(whole([tmp_path / "empty", tmp_path / "text"]), SpecialSplitter([]), "gpt2"))) == 1
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    with pytest.raises(TinylmError, match="standard input: empty"):
        list(read_blocks(whole(["-"]), SpecialSplitter([]), "gpt2"))
