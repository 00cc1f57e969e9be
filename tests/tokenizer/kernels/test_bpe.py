"""Merging one pre-token, by search and by heap, against the plain loop."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinylm.tokenizer.bpe import apply_merges
from tinylm.tokenizer.kernels.bpe import POSITION_BITS, SHORT_PRETOKEN, encode_by_heap, encode_pretoken, sorted_by_rank
from tinylm.tokenizer.kernels.chunks import Chunk
from tinylm.tokenizer.kernels.merge_table import NO_MERGE, new_merge_table

Merges = dict[tuple[int, int], tuple[int, int]]

LETTERS = list(b"ab")


@st.composite
def merge_tables(draw: st.DrawFn) -> Merges:
    """Merges of the letters a and b, in an order that training might never find, with ids of a foreign vocabulary."""
    merges: Merges = {}
    tokens = list(LETTERS)
    for rank in range(draw(st.integers(0, 12))):
        pair = (draw(st.sampled_from(tokens)), draw(st.sampled_from(tokens)))
        if pair not in merges:
            merges[pair] = (rank, 1000 - 7 * rank)
            tokens.append(1000 - 7 * rank)
    return merges


def encoded(word: bytes, merges: Mapping[tuple[int, int], tuple[int, int]], *, by_heap: bool) -> list[int]:
    """The ids that the kernels find."""
    table, text = new_merge_table(range(256), merges), Chunk.of(word).text
    out = np.empty(len(word) + 1, np.uint16)
    if by_heap:
        return out[: encode_by_heap(text, 0, len(word), table, out, 0)].tolist()
    tokens = np.empty(SHORT_PRETOKEN, np.int64)
    return out[: encode_pretoken(text, 0, len(word), table, tokens, out, 0)].tolist()


@pytest.mark.parametrize("by_heap", [False, True])
@given(
    word=st.lists(st.sampled_from(LETTERS), min_size=1, max_size=2 * SHORT_PRETOKEN).map(bytes), merges=merge_tables()
)
def test_ids_are_those_of_the_plain_loop(by_heap: bool, word: bytes, merges: Merges) -> None:
    """Lowest rank first, leftmost first, for words on both sides of where the heap takes over."""
    assert encoded(word, merges, by_heap=by_heap) == apply_merges(word, merges)


@pytest.mark.parametrize(("cd", "abc"), [(1, 2), (2, 1)])
def test_pairs_of_bytes_and_those_of_merges_take_turns(cd: int, abc: int) -> None:
    """The lower rank first, whether the pair was there from the start or came up on the way."""
    merges = {(97, 98): (0, 300), (99, 100): (cd, 301), (300, 99): (abc, 302)}
    for by_heap in (False, True):
        assert encoded(b"abcd" * 20, merges, by_heap=by_heap) == ([300, 301] if cd < abc else [302, 100]) * 20


@given(ranks=st.lists(st.integers(0, int(NO_MERGE) - 1) | st.integers(0, 3)))
def test_sorting_by_rank(ranks: list[int]) -> None:
    """All ranks that there may be; equal ones stay in order of position."""
    items = [rank << int(POSITION_BITS) | position for position, rank in enumerate(ranks)]
    assert sorted_by_rank(np.array([*items, 0, 0], np.int64), len(items))[: len(items)].tolist() == sorted(items)


def test_a_pair_across_the_end_is_not_merged() -> None:
    """What follows the pre-token in the text is none of its business."""
    table, text = new_merge_table(range(256), {(97, 98): (0, 300)}), Chunk.of(b"ab" * 30).text
    out = np.empty(64, np.uint16)
    tokens = np.empty(SHORT_PRETOKEN, np.int64)
    assert out[: encode_pretoken(text, 0, 1, table, tokens, out, 0)].tolist() == [97]
    assert out[: encode_by_heap(text, 1, 3, table, out, 0)].tolist() == [98, 300]
