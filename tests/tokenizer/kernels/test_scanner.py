"""Pre-token starts against GPT-2's expression."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tinylm.tokenizer.kernels.chunks import Chunk
from tinylm.tokenizer.kernels.scanner import BATCH, STARTS_CAPACITY, find_starts
from tinylm.tokenizer.kernels.unicode_classes import class_table
from tinylm.tokenizer.pretokenize import pretokenizer

# What the scanner treats specially, densely mixed, and long enough to fill several blocks.
SNIPPETS = [
    *("'s", "'ll", "'re", "'ve", "'d", "'t", "'", "''", "s", "l", "v", "e", "S", "a", "bc", " a", " word"),
    *(" ", "  ", "\n", "\t", "\r\n", "\x0b", "\x1c", "\x85", "\u00a0", "\u1680", "\u2003", "\u2028", "\u3000"),
    *("1", "22", "²", "½", "٣", "!", "?!", ".", "<|", "\0", "\x7f", "\u200b", "\u0301"),
    *("é", "ß", "ж", "天", "ก", "ा", "😀", "👩‍👧", "𝒳", "\U0010ffff", "\ufffd", "\ud7ff", "\ue000", "x" * 70, " " * 70),
]
TEXT = st.lists(st.sampled_from(SNIPPETS), max_size=120).map("".join) | st.text(max_size=200)


def pretokens(data: bytes, begin: int = 0, end: int | None = None) -> list[str]:
    """Pre-tokens of `data[begin:end]`, found batch by batch."""
    end = len(data) if end is None else end
    chunk, starts = Chunk.of(data), np.empty(STARTS_CAPACITY, np.int64)
    found = []
    while begin < end:
        num_starts = find_starts(chunk.text, begin, end, class_table(), starts, 0)
        assert num_starts > 1
        bounds = starts[:num_starts].tolist()
        assert bounds[0] == begin
        found += [data[a:b].decode() for a, b in pairwise(bounds)]
        begin = bounds[-1]
    return found


@given(text=TEXT)
@example(text="a" * 63 + "'s")
@example(text="a" * 62 + "'ll" + "b" * 70)
@example(text="a" * 62 + "\u3000\u3000b")
@example(text=" " * 64 + "a" + " " * 62 + "\u00a0a")
def test_pretokens_are_those_of_the_expression(text: str) -> None:
    """Whatever the text, wherever it meets the borders of blocks."""
    assert pretokens(text.encode()) == list(pretokenizer("gpt2")(text))


@given(before=TEXT, text=TEXT, after=TEXT)
def test_what_surrounds_the_text_does_not_matter(before: str, text: str, after: str) -> None:
    """The bytes before and after the part asked for change nothing."""
    data = "".join((before, text, after)).encode()
    begin = len(before.encode())
    assert pretokens(data, begin, begin + len(text.encode())) == list(pretokenizer("gpt2")(text))


@given(text=TEXT, times=st.integers(BATCH // 4, BATCH))
def test_batches_are_joined(text: str, times: int) -> None:
    """More pre-tokens than one call finds, and pre-tokens longer than a batch."""
    text = "x" * BATCH * 8 + text * (times // 16) + " word" * times
    assert pretokens(text.encode()) == list(pretokenizer("gpt2")(text))


@given(
    data=st.binary(max_size=150)
    | st.tuples(TEXT, st.binary(max_size=3), TEXT).map(lambda t: t[0].encode() + t[1] + t[2].encode())
)
@example(data=b"a" * 63 + "é".encode() + b"\x80")
@example(data=b"a" * 62 + "天".encode() + b"\x80")
@example(data=b"a" * 63 + b"\xc3")
def test_bytes_that_are_not_utf8_are_refused(data: bytes) -> None:
    """A negative number exactly when Python cannot decode the text either."""
    starts = np.empty(STARTS_CAPACITY, np.int64)
    chunk = Chunk.of(data)
    begin, refused = 0, False
    while begin < len(data) and not refused:
        num_starts = find_starts(chunk.text, begin, len(data), class_table(), starts, 0)
        refused = num_starts < 0
        begin = int(starts[num_starts - 1])
    try:
        data.decode()
    except UnicodeDecodeError:
        assert refused
    else:
        assert not refused


def test_the_text_may_fill_its_blocks_exactly() -> None:
    """Texts of every length around one and two blocks, with each kind of end."""
    for length in range(60, 132):
        for end in ("a", " ", "1", "'", "é", "\n"):
            text = ("ab 1." * 40)[: length - len(end)] + end
            assert pretokens(text.encode()) == list(pretokenizer("gpt2")(text))


@pytest.mark.slow
@given(text=st.text(min_size=500, max_size=3000))
def test_long_random_texts(text: str) -> None:
    """Any characters at all."""
    assert pretokens(text.encode()) == list(pretokenizer("gpt2")(text))
