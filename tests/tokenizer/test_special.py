"""Special tokens in text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinylm.errors import UsageError
from tinylm.tokenizer.special import SpecialSplitter


def test_the_longest_special_token_wins() -> None:
    """Where several special tokens begin at one place, the longest is taken, in whatever order they were given."""
    for specials in (["<a>", "<a><b>"], ["<a><b>", "<a>"]):
        assert list(SpecialSplitter(specials).split("x<a><b><a>y")) == ["x", "<a><b>", "<a>", "y"]


def test_special_tokens_are_literal() -> None:
    """Characters that mean something in a regular expression mean themselves."""
    assert list(SpecialSplitter(["a.c", "|"]).split("abc|a.c")) == ["abc", "|", "a.c"]


@given(st.text("ab<>"), st.sets(st.text("ab<>", min_size=1, max_size=4)))
def test_splitting_loses_nothing(text: str, specials: set[str]) -> None:
    """The parts, concatenated, are the text; no part that is not a special token contains one."""
    parts = list(SpecialSplitter(specials).split(text))
    assert "".join(parts) == text
    assert not any(special in part for part in parts if part not in specials for special in specials)


def test_empty_special_token() -> None:
    """Empty text, which occurs everywhere, cannot be a special token."""
    with pytest.raises(UsageError, match="cannot be empty"):
        SpecialSplitter([""])
