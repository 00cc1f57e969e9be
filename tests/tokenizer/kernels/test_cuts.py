"""Special tokens and places to cut against the plain modules."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from tinylm.tokenizer.kernels.chunks import Chunk, specials_in
from tinylm.tokenizer.kernels.cuts import NO_CUT, is_cut, last_cut, new_specials
from tinylm.tokenizer.kernels.unicode_classes import class_table
from tinylm.tokenizer.pretokenize import pretokenizer
from tinylm.tokenizer.special import SpecialSplitter

TOKENS = {"<|a b|>": 5, "<|a b|><|c|>": 6, "\n\n": 7, "ß<": 8}
SPECIALS = new_specials(TOKENS)
SNIPPETS = [
    *TOKENS,
    "<|a b|",
    "<|",
    "<",
    "a",
    "B1",
    "ß",
    "'s",
    "'",
    " ",
    "  ",
    "\n",
    "\u00a0",
    "\u3000",
    "天",
    "12",
    ".",
    "\u0301",
]
TEXT = st.lists(st.sampled_from(SNIPPETS)).map("".join) | st.text()


def tokens(text: str) -> list[str]:
    """Special tokens and pre-tokens of a text."""
    parts = SpecialSplitter(TOKENS).split(text)
    return [word for part in parts for word in ([part] if part in TOKENS else pretokenizer("gpt2")(part))]


@given(text=TEXT)
def test_special_tokens_are_found(text: str) -> None:
    """All of them, from left to right, the longest where several begin, and no two that overlap."""
    found = specials_in(Chunk.of(text.encode()), SPECIALS).tolist()
    spans = [
        (len(text[:a].encode()), len(text[:b].encode()), TOKENS[text[a:b]])
        for a, b in SpecialSplitter(TOKENS).spans(text)
    ]
    assert [tuple(row) for row in found] == spans


def test_more_special_tokens_than_expected() -> None:
    """A chunk of nothing but special tokens."""
    assert len(specials_in(Chunk.of(b"\n\n" * 5000), SPECIALS)) == 5000


@given(text=TEXT)
@example(text="x's")
@example(text="1\u0301 a")
def test_no_cut_changes_a_token(text: str) -> None:
    """At each place where a cut is allowed, both sides, tokenized apart, give the tokens of the whole."""
    data = text.encode()
    chunk = Chunk.of(data)
    for at in range(1, len(data)):
        if is_cut(chunk.text, at, len(data), SPECIALS, class_table()):
            assert tokens(data[:at].decode()) + tokens(data[at:].decode()) == tokens(text)


@given(text=TEXT, after=TEXT)
def test_nothing_after_the_end_moves_the_last_cut(text: str, after: str) -> None:
    """The last cut is a cut of every longer text too."""
    data = text.encode()
    cut = last_cut(Chunk.of(data).text, len(data), SPECIALS, class_table())
    if cut != NO_CUT:
        assert tokens(data[:cut].decode()) + tokens(data[cut:].decode() + after) == tokens(text + after)


def test_ordinary_text_is_full_of_cuts() -> None:
    """English, Chinese, source code and base64 can be cut often, or memory would not be bounded."""
    for text in (
        "The cat, they say, sat.\n" * 9,
        "天地玄黄，宇宙洪荒。\n" * 9,
        "if (x[i]==0){\n\ty+=1;\n}\n" * 9,
        "aGk1bm9w4rEQ" * 9,
    ):
        data = text.encode()
        chunk = Chunk.of(data)
        cuts = [at for at in range(1, len(data)) if is_cut(chunk.text, at, len(data), new_specials({}), class_table())]
        assert np.diff([0, *cuts, len(data)]).max() <= 31
