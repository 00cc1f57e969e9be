"""Merging: the fast incremental way against the plain definition."""

from collections import Counter
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tinylm.tokenizer.merge import descending, merge_pair, merge_words

COUNTS = st.dictionaries(st.binary(min_size=1, max_size=12), st.integers(1, 5), max_size=30)
REPETITIVE = st.dictionaries(st.text("ab", min_size=1, max_size=12).map(str.encode), st.integers(1, 5), max_size=30)


def by_definition(counts: dict[bytes, int], num_merges: int) -> list[tuple[bytes, bytes]]:
    """BPE as it is defined: count all pairs anew, take the best, rewrite every word, repeat."""
    words = [([bytes([byte]) for byte in word], count) for word, count in counts.items()]
    merges: list[tuple[bytes, bytes]] = []
    while len(merges) < num_merges:
        pairs: Counter[tuple[bytes, bytes]] = Counter()
        for word, count in words:
            for pair in pairwise(word):
                pairs[pair] += count
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        for word, _ in words:
            i = 0
            while i + 1 < len(word):
                if (word[i], word[i + 1]) == best:
                    word[i : i + 2] = [word[i] + word[i + 1]]
                i += 1
    return merges


@given(st.one_of(COUNTS, REPETITIVE))
def test_merges_are_those_of_the_definition(counts: dict[bytes, int]) -> None:
    """Incremental counts, occurrence index and lazy heap find the merges that counting anew each time finds."""
    assert list(merge_words(counts, 40)) == by_definition(counts, 40)


@given(REPETITIVE, st.randoms())
def test_the_order_of_words_does_not_matter(counts: dict[bytes, int], random: Random) -> None:
    """Words may come from any number of workers in any order."""
    shuffled = list(counts.items())
    random.shuffle(shuffled)
    assert list(merge_words(dict(shuffled), 30)) == list(merge_words(counts, 30))


def test_ties_go_to_the_greater_pair() -> None:
    """Among equally frequent pairs the lexicographically greater pair of byte strings is merged first."""
    assert next(merge_words({b"ab": 1, b"ba": 1}, 1)) == (b"b", b"a")
    assert next(merge_words({b"ab": 1, b"a\xff": 1}, 1)) == (b"a", b"\xff")


def test_it_stops_when_every_word_is_one_token() -> None:
    """No more merges come out than the words have pairs for."""
    assert list(merge_words({b"abc": 1, b"x": 9}, 100)) == [(b"b", b"c"), (b"a", b"bc")]


def test_counts_are_not_32_bit() -> None:
    """Counts beyond 2^32, and their sums, decide as small ones do."""
    assert next(merge_words({b"ab": 2**40, b"cd": 2**40 + 1}, 1)) == (b"c", b"d")


def test_merge_pair_goes_from_left_to_right() -> None:
    """Overlapping occurrences are taken from the left."""
    assert merge_pair([1, 1, 1], (1, 1), 9) == [9, 1]
    assert merge_pair([1, 2, 1, 2, 3], (1, 2), 9) == [9, 9, 3]
    assert merge_pair([2], (2, 2), 9) == [2]


@given(st.lists(st.binary(max_size=3)))
def test_descending_reverses_the_order(tokens: list[bytes]) -> None:
    """Sorting by the key is sorting by the bytes, backwards; a prefix comes after what it begins."""
    assert sorted(tokens, key=descending) == sorted(tokens, reverse=True)
