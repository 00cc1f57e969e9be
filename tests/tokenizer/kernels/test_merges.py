"""The compiled merge loop against the plain one."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinylm.errors import TinylmError
from tinylm.tokenizer.kernels import merges
from tinylm.tokenizer.kernels.merges import learn_merges
from tinylm.tokenizer.merge import merge_words
from tinylm.tokenizer.word_counts import WordCounts

COUNTS = st.integers(1, 4) | st.integers(1, 2**40)


def merged(counts: dict[bytes, int], num_merges: int, slice_size: int = 1000) -> list[tuple[bytes, bytes]]:
    """The merges as pairs of byte strings."""
    tokens = [bytes([byte]) for byte in range(256)]
    learned = []
    for some in learn_merges(WordCounts.of(counts), num_merges, slice_size):
        for left, right in some.tolist():
            learned.append((tokens[left], tokens[right]))
            tokens.append(tokens[left] + tokens[right])
    return learned


@pytest.mark.parametrize("alphabet", [b"a", b"ab", b"abc\0\xff", bytes(range(97, 123))])
@given(data=st.data())
def test_merges_are_those_of_the_plain_loop(alphabet: bytes, data: st.DataObject) -> None:
    """The same pairs in the same order, with many ties, overlapping pairs and tokens that are prefixes of others."""
    words = st.lists(st.sampled_from(list(alphabet)), min_size=1, max_size=30).map(bytes)
    counts = data.draw(st.dictionaries(words, COUNTS, max_size=30))
    num_merges = data.draw(st.integers(1, 200))
    assert merged(counts, num_merges) == list(merge_words(counts, num_merges))


def test_ten_texts() -> None:
    """Words as frequent as in text, until no pair is left."""
    for seed in range(10):
        choose = random.Random(seed)
        letters = choose.choices("etaoinshrdlucmfwypvbgk", k=200)
        words = {"".join(choose.choices(letters, k=choose.randint(1, 12))).encode() for _ in range(300)}
        counts = {word: 10_000 // rank for rank, word in enumerate(sorted(words), start=1)}
        assert merged(counts, 10_000) == list(merge_words(counts, 10_000))


def test_ties_go_to_the_greater_pair_of_byte_strings() -> None:
    """Also where the strings share eight bytes and more, or one begins with the other."""
    long = b"abcdefghij"
    counts = {long + b"x": 9, long + b"y": 9, long: 9, b"pq": 27, b"pqr": 27}
    assert merged(counts, 50) == list(merge_words(counts, 50))


@pytest.mark.parametrize("slice_size", [1, 7, 1000])
def test_slices_change_nothing(slice_size: int) -> None:
    """Merges come in slices, for progress; all together they are the same."""
    counts = {b"lowest": 3, b"newest": 6, b"widest": 3, b"low": 5}
    assert merged(counts, 12, slice_size) == list(merge_words(counts, 12))


def test_fewer_merges_than_asked_for() -> None:
    """The loop ends when every word is one token."""
    assert merged({b"aa": 1}, 5) == [(b"a", b"a")]
    assert merged({b"a": 1}, 5) == []
    assert merged({}, 5) == []


def test_more_than_positions_can_tell_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused; a few bytes less are not."""
    words = WordCounts.of({b"the": 3, b"cat": 2})
    monkeypatch.setattr(merges, "LARGEST_ROOM", 28)
    assert sum(map(len, learn_merges(words, 2))) == 2
    monkeypatch.setattr(merges, "LARGEST_ROOM", 27)
    with pytest.raises(TinylmError, match="6 bytes of different pre-tokens are more than can be learned from, some 9"):
        next(learn_merges(words, 2))
