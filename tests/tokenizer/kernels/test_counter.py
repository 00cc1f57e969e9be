"""Counts of pre-tokens against a dict."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinylm.tokenizer.kernels import counter as counter_module
from tinylm.tokenizer.kernels.chunks import Chunk, InvalidTextError
from tinylm.tokenizer.kernels.counter import PretokenCounter
from tinylm.tokenizer.kernels.cuts import new_specials
from tinylm.tokenizer.pretokenize import pretokenizer
from tinylm.tokenizer.special import SpecialSplitter
from tinylm.tokenizer.word_counts import WordCounts

SPECIALS = ["<|e|>", "<|e|><|f|>"]
WORDS = ["a", " the", "\n", "'s", "1", "é", " fifteen-bytes-", "sixteen-letters-", "天" * 12, "x" * 100, *SPECIALS]
TEXT = st.lists(st.sampled_from(WORDS) | st.text(max_size=20)).map("".join)


def expected(text: str) -> Counter[bytes]:
    """The counts of a text by the plain modules."""
    parts = SpecialSplitter(SPECIALS).split(text)
    return Counter(word.encode() for part in parts if part not in SPECIALS for word in pretokenizer("gpt2")(part))


def counted(*texts: str) -> PretokenCounter:
    """A counter that has seen these texts."""
    counter = PretokenCounter()
    for text in texts:
        counter.add_chunk(Chunk.of(text.encode()), new_specials(dict.fromkeys(SPECIALS, 0)))
    return counter


@given(first=TEXT, second=TEXT)
def test_counts_of_texts(first: str, second: str) -> None:
    """One text after the other, long pre-tokens and short ones, special tokens left out."""
    assert counted(first, second).words().as_dict() == expected(first) + expected(second)


@given(first=TEXT, second=TEXT)
def test_counters_are_added(first: str, second: str) -> None:
    """What two threads have counted is added up, in whichever order."""
    for one, other in ((first, second), (second, first)):
        counter = counted(one)
        counter.add_words(counted(other).words())
        assert counter.words().as_dict() == expected(first) + expected(second)


def test_tables_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables that begin far too small hold a hundred thousand distinct pre-tokens of all lengths in the end."""
    monkeypatch.setattr(counter_module, "FIRST_SLOTS", 1)
    text = "".join(f" {'x' * (i % 40)}{chr(0x4E00 + i % 20_000)}{chr(97 + i // 20_000)}" for i in range(100_000))
    assert counted(text, text).words().as_dict() == {word: 2 * count for word, count in expected(text).items()}


def test_counts_have_64_bits() -> None:
    """Counts beyond 32 bits are added exactly."""
    counter = PretokenCounter()
    for _ in range(3):
        counter.add_words(WordCounts.of({b"a": 2**40 + 1, b"x" * 20: 2**33}))
    assert counter.words().as_dict() == {b"a": 3 * 2**40 + 3, b"x" * 20: 3 * 2**33}


def test_text_that_is_not_utf8() -> None:
    """It is refused."""
    with pytest.raises(InvalidTextError):
        PretokenCounter().add_chunk(Chunk.of(b"caf\xe9"), new_specials({}))
