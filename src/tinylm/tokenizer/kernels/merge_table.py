"""A pair of token ids -> the rank of its merge, for kernels."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinylm.tokenizer.kernels.kernel import kernel
from tinylm.tokenizer.kernels.keys import aligned_zeros, first_slot, hash_key

ID_BITS = 21
"""A slot of the table holds two ids and a rank in one word of 64 bits: more than two million tokens do not fit."""

NO_MERGE = np.int64((1 << ID_BITS) - 1)
"""The rank of a pair that is never merged: above all others."""

FREE = np.int64(-1)


class MergeTable(NamedTuple):
    """The merges of a tokenizer; ranks count from the merge learned first."""

    byte_ids: npt.NDArray[np.int32]
    """The id of each byte."""
    byte_pairs: npt.NDArray[np.int32]
    """The rank of each pair of bytes, `(256 * 256,)`: what every new word is asked for first."""
    merged_ids: npt.NDArray[np.int32]
    """The id that each merge makes, by rank."""
    slots: npt.NDArray[np.int64]
    """Open addressing, at most half full: `(left id << ID_BITS | right id) << ID_BITS | rank`, or FREE."""


def new_merge_table(byte_ids: Sequence[int], merges: Mapping[tuple[int, int], tuple[int, int]]) -> MergeTable:
    """The table of the merges {(left, right): (rank, merged)}; ids are below NO_MERGE."""
    pairs = np.array(list(merges), np.int64).reshape(-1, 2)
    results = np.array(list(merges.values()), np.int64).reshape(-1, 2)
    merged_ids = np.zeros(results[:, 0].max(initial=-1) + 1, np.int32)
    merged_ids[results[:, 0]] = results[:, 1]
    slots = aligned_zeros(1 << max(4, (4 * len(merges)).bit_length()), np.int64)
    slots[:] = FREE
    table = MergeTable(np.array(byte_ids, np.int32), np.zeros(256 * 256, np.int32), merged_ids, slots)
    fill(table, pairs[:, 0].copy(), pairs[:, 1].copy(), results[:, 0].copy())
    return table


@kernel()
def fill(table, lefts, rights, ranks):
    """Enter the merges, and look up all pairs of bytes."""
    for i in range(ranks.size):
        pair = lefts[i] << ID_BITS | rights[i]
        table.slots[find(table.slots, lefts[i], rights[i])] = pair << ID_BITS | ranks[i]
    for code in range(256 * 256):
        table.byte_pairs[code] = rank_of(table, table.byte_ids[code >> 8], table.byte_ids[code & 255])


@kernel(forceinline=True)
def rank_of(table, left, right):
    """The rank of the merge of two ids, or NO_MERGE."""
    return table.slots[find(table.slots, np.int64(left), np.int64(right))] & NO_MERGE  # a free slot is all ones


@kernel(forceinline=True)
def find(slots, left, right):
    """Where the merge of a pair is, or the free slot where it would be."""
    pair = left << ID_BITS | right
    slot = first_slot(slots, hash_key(np.uint64(left), np.uint64(right)), 1)
    while slots[slot] >> ID_BITS != pair and slots[slot] != FREE:
        slot = slot + 1 & slots.size - 1
    return slot
