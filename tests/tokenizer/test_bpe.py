"""Applying merges to one pre-token."""

import time
from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinylm.errors import UsageError
from tinylm.tokenizer import bpe
from tinylm.tokenizer.bpe import WordCache, apply_merges

PAIRS = st.tuples(st.integers(0, 12), st.integers(0, 12))
MERGES = st.lists(PAIRS, unique=True).map(
    lambda pairs: {pair: (rank, 3 + rank % 10) for rank, pair in enumerate(pairs)}
)


def by_definition(ids: list[int], merges: Mapping[tuple[int, int], tuple[int, int]]) -> list[int]:
    """Look at all pairs, merge the leftmost of lowest rank, repeat."""
    ids = list(ids)
    while found := [(merges[pair][0], i) for i, pair in enumerate(pairwise(ids)) if pair in merges]:
        _, i = min(found)
        ids[i : i + 2] = [merges[ids[i], ids[i + 1]][1]]
    return ids


@given(st.lists(st.integers(0, 4), max_size=40), MERGES)
def test_the_heap_merges_as_the_definition_does(ids: list[int], merges: dict[tuple[int, int], tuple[int, int]]) -> None:
    """For any merges, consistent with one another or not, the result is that of merging the best pair each time."""
    assert apply_merges(ids, merges) == by_definition(ids, merges)


def test_merges_in_an_odd_order() -> None:
    """What a merge makes may be merged earlier than it, or just as early: such places come up when they are next."""
    merges = {(0, 1): (5, 0), (0, 0): (6, 1), (1, 1): (2, 0), (1, 0): (1, 2)}
    for length in range(12):
        for bits in range(1 << length):
            ids = [bits >> i & 1 for i in range(length)]
            assert apply_merges(ids, merges) == by_definition(ids, merges)


def test_a_long_run_of_one_letter_is_not_quadratic() -> None:
    """Ten times the letters take about ten times as long, not a hundred times."""
    merges = {(0, 0): (0, 1), (1, 1): (1, 2), (2, 2): (2, 3)}

    def once(length: int) -> float:
        started = time.process_time()
        assert apply_merges([0] * length, merges) == [3] * (length // 8)
        return time.process_time() - started

    def seconds(length: int) -> float:
        return min(once(length) for _ in range(4))  # others on the machine only ever make it slower

    assert seconds(80_000) < 40 * seconds(8_000)


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache is emptied when it is full, and long pre-tokens never enter it."""
    monkeypatch.setattr(bpe, "CACHED_WORDS", 3)
    cache = WordCache(range(256), {})
    for word in ("a", "b", "c", "d"):
        assert cache[word] == [ord(word)]
        assert len(cache) <= 3
    assert cache["x" * 1000] == [ord("x")] * 1000
    assert list(cache) == ["d"]


def test_half_a_surrogate_pair_is_not_text() -> None:
    """What cannot be written as UTF-8 is an error that shows it."""
    with pytest.raises(UsageError, match=r"half a surrogate pair, '\\ud800'"):
        WordCache(range(256), {})["a\ud800"]
