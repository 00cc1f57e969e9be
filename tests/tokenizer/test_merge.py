"""Merging: the fast incremental way against the plain definition."""

import time
from collections import Counter
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tinylm.tokenizer.merge import Words, descending, merge_words

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


def test_overlapping_pairs_are_taken_from_the_left() -> None:
    """ "aaa" with "aa" -> X is "Xa"; the pairs around a merge are counted by what is there after it."""
    words = Words({b"aaa": 1, b"baaaa": 5})
    assert words.pair_counts == {(97, 97): 2 + 15, (98, 97): 5}
    assert sorted(words.merge((97, 97), 256)) == [((98, 256), 5), ((256, 97), 1), ((256, 256), 5)]
    assert {pair: count for pair, count in words.pair_counts.items() if count} == {
        (98, 256): 5,
        (256, 97): 1,
        (256, 256): 5,
    }


def test_a_long_word_is_as_fast_as_many_short_ones() -> None:
    """A merge goes to the places of its pair, not through all of a word that has it."""
    letters = "".join(Random(0).choices("abcdefghijklmnopqrstuvwxyz", k=30_000)).encode()

    def once(counts: dict[bytes, int]) -> float:
        started = time.process_time()
        assert len(list(merge_words(counts, 1000))) == 1000
        return time.process_time() - started

    def seconds(counts: dict[bytes, int]) -> float:
        return min(once(counts) for _ in range(4))  # others on the machine only ever make it slower

    assert seconds({letters: 1}) < 6 * seconds({letters[i : i + 10]: 1 for i in range(0, len(letters), 10)})


@given(st.lists(st.binary(max_size=3)))
def test_descending_reverses_the_order(tokens: list[bytes]) -> None:
    """Sorting by the key is sorting by the bytes, backwards; a prefix comes after what it begins."""
    assert sorted(tokens, key=descending) == sorted(tokens, reverse=True)
