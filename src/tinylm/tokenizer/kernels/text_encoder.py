"""Encoding chunk after chunk with a cache that grows to what the text needs, up to a bound."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinylm.tokenizer.kernels.chunks import Chunk, InvalidTextError, specials_in
from tinylm.tokenizer.kernels.cuts import Specials, new_specials
from tinylm.tokenizer.kernels.encoder import (
    SLACK_IDS,
    Cache,
    encode_text,
    move_short,
    new_scratch,
)
from tinylm.tokenizer.kernels.keys import SLOT_WORDS, aligned_zeros
from tinylm.tokenizer.kernels.long_cache import move_records, new_long_cache
from tinylm.tokenizer.kernels.merge_table import MergeTable, new_merge_table
from tinylm.tokenizer.kernels.unicode_classes import class_table

FIRST_CACHE_WORDS = 1 << 17
LAST_SHORT_WORDS = 1 << 23
LAST_LONG_WORDS = 1 << 21
"""The short part grows from a megabyte to 64, the long part to 16, if so many different pre-tokens come."""

FULL_SHARE = 2
"""The short part grows when one of so many slots has been filled; what is driven out and comes again counts again."""

GROWTH = 4
"""So many times larger: each growth costs a move, and memory that the system has to clear."""


class EncodedChunk(NamedTuple):
    """The ids of a chunk."""

    ids: npt.NDArray[Any]
    special_stops: npt.NDArray[np.int64]
    """The number of ids up to and including each special token."""


class Vocabulary(NamedTuple):
    """What the threads share."""

    table: MergeTable
    specials: Specials
    dtype: type[np.unsignedinteger[Any]]
    """Of the ids that are written."""


def new_vocabulary(
    byte_ids: Sequence[int], merges: Mapping[tuple[int, int], tuple[int, int]], special_ids: Mapping[str, int]
) -> Vocabulary:
    """A tokenizer's ids of bytes, its merges {(left, right): (rank, merged)} and its special tokens, for kernels."""
    largest = max([*byte_ids, *special_ids.values(), *(merged for _, merged in merges.values())])
    dtype = np.uint16 if largest < 2**16 else np.uint32
    return Vocabulary(new_merge_table(byte_ids, merges), new_specials(special_ids), dtype)


class TextEncoder:
    """One thread's encoder."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        short, stored = aligned_zeros(FIRST_CACHE_WORDS, np.uint64), np.zeros(1, np.int64)
        self.cache = Cache(short, stored, new_long_cache(FIRST_CACHE_WORDS))
        self._scratch = new_scratch()

    def encode(self, chunk: Chunk) -> EncodedChunk:
        """The ids of a chunk. Raises: InvalidTextError when it is not UTF-8."""
        specials = specials_in(chunk, self.vocabulary.specials)
        ids = np.empty(chunk.size + SLACK_IDS, self.vocabulary.dtype)
        stops = np.empty(len(specials), np.int64)
        table, classes = self.vocabulary.table, class_table()
        count = encode_text(chunk.text, chunk.size, specials, classes, table, self.cache, self._scratch, ids, stops)
        if count < 0:
            raise InvalidTextError
        self._grow_cache()
        return EncodedChunk(ids[:count], stops)

    def _grow_cache(self) -> None:
        """Enlarge a part of the cache that has become too full."""
        short, stored, long = self.cache
        if stored[0] * SLOT_WORDS * FULL_SHARE > short.size < LAST_SHORT_WORDS:
            self.enlarge_short()
        if 2 * long.used[1] > long.log.size < LAST_LONG_WORDS:
            self.enlarge_long()

    def enlarge_short(self) -> None:
        """Enlarge the part for pre-tokens that fit into slots."""
        larger = aligned_zeros(min(GROWTH * self.cache.short.size, LAST_SHORT_WORDS), np.uint64)
        move_short(self.cache.short, larger)
        self.cache = self.cache._replace(short=larger)

    def enlarge_long(self) -> None:
        """Enlarge the part for all others."""
        larger = new_long_cache(min(GROWTH * self.cache.long.log.size, LAST_LONG_WORDS))
        move_records(self.cache.long, larger)
        self.cache = self.cache._replace(long=larger)
