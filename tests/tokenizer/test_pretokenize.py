"""Pre-tokenization: the published patterns, and patterns of the user's own."""

import re

import pytest
import regex
import tiktoken_ext.openai_public as published
from hypothesis import example, given
from hypothesis import strategies as st

from tinylm.errors import TinylmError, UsageError
from tinylm.tokenizer import pretokenize
from tinylm.tokenizer.pretokenize import PATTERNS, pretokenizer

TRICKY = "aAéßſKǅʰ字กา’'sStT019²½٣ \t\n\r\x0b\x1c\x85\u00a0\u2028\u3000\u0301\u200d-_/.!ー😀"
DENSE = st.lists(st.sampled_from(["a", "B", "字", "'s", "'", "\u0301", " ", "\n", "\r", "12", ".", "/"])).map("".join)
TEXT = DENSE | st.text(st.sampled_from(TRICKY) | st.characters(exclude_categories=["Cs", "Cn"]))
TIKTOKEN_NAMES = {"gpt2": "gpt2", "cl100k": "cl100k_base", "o200k": "o200k_base"}


def published_pattern(name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The pattern in tiktoken's source; its vocabulary, which it would download, is left out."""
    monkeypatch.setattr(published, "load_tiktoken_bpe", lambda *_args, **_kwargs: {})
    monkeypatch.setattr(published, "data_gym_to_mergeable_bpe_ranks", lambda *_args, **_kwargs: {})
    return str(getattr(published, TIKTOKEN_NAMES[name])()["pat_str"])


@pytest.mark.parametrize("name", PATTERNS)
def test_published_patterns_split_as_tiktokens_do(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On any text each named pattern finds the pre-tokens that tiktoken's pattern of that name finds."""
    theirs = regex.compile(published_pattern(name, monkeypatch))
    ours = pretokenizer(name)

    @given(TEXT)
    @example("x\n  ")
    @example("DON'T")
    def same(text: str) -> None:
        assert list(ours(text)) == theirs.findall(text)

    same()


@pytest.mark.parametrize("pattern", [*PATTERNS, r"\w+", r"x*", r"(a)|(b)c"])
@given(text=TEXT)
def test_nothing_is_lost(pattern: str, text: str) -> None:
    """Pre-tokens, concatenated, are the text, and none is empty, whatever the pattern leaves out."""
    words = list(pretokenizer(pattern)(text))
    assert "".join(words) == text
    assert all(words)


def test_gpt2_golden() -> None:
    """Contractions, a leading space, digits apart from letters, the last space of a run given to the next word."""
    words = list(pretokenizer("gpt2")("I'll pay  $20x, né?\n\n 'Twas\u00a0so  "))
    golden = ["I", "'ll", " pay", " ", " $", "20", "x", ",", " né", "?", "\n\n", " '", "Twas", "\u00a0", "so", "  "]
    assert words == golden


def test_a_misspelt_name_is_not_a_pattern() -> None:
    """A bare word that names no pattern is refused, with the name that was probably meant."""
    with pytest.raises(UsageError, match="no pattern named 'gtp2'; did you mean 'gpt2'"):
        pretokenizer("gtp2")


def test_a_broken_expression_is_explained() -> None:
    """What `regex` cannot compile is the user's mistake, and the message says where."""
    with pytest.raises(UsageError, match=re.escape("pattern '(a' is not a regular expression: missing )")):
        pretokenizer("(a")


def test_a_pattern_that_explodes_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catastrophic backtracking ends in an error after the time limit, not in a hang."""
    monkeypatch.setattr(pretokenize, "TIMEOUT_SECONDS", 0.05)
    with pytest.raises(TinylmError, match="took over 0 s on 61 characters"):
        list(pretokenizer(r"(?:a|aa)+$")("a" * 60 + "b"))
