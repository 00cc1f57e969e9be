"""The ids of pre-tokens that do not fit into a slot, whatever their length: an index of records in a log.

A record is a whole number of cache lines:

    length, number of ids (32 bits each)  |  the bytes, zeros after them  |  the ids

Records are appended until the log is full; then all are forgotten, and it begins anew.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinylm.tokenizer.kernels.intrinsics import load_word, store_word
from tinylm.tokenizer.kernels.kernel import kernel
from tinylm.tokenizer.kernels.keys import aligned_zeros, copy, first_slot, key_word

RECORD_WORDS = 8
"""A record has this many words or a multiple of it: a cache line."""

INDEX_SHARE = 4
"""The index has a slot for each so many words of the log, so that records leave half of it free."""

LARGEST_SHARE = 16
"""A record that would take more than this part of the log is not kept."""

POSITION_BITS = np.uint64(24)
POSITION_MASK = np.uint64((1 << 24) - 1)
HALF_WORD = np.uint64(32)
LOW_HALF = np.uint64(2**32 - 1)
FREE = np.uint64(0)


class LongCache(NamedTuple):
    """What is remembered of such pre-tokens."""

    slots: npt.NDArray[np.uint64]
    """The index. Open addressing: the upper bits of a hash and the position of a record, or FREE."""
    log: npt.NDArray[np.uint64]
    """Records, from RECORD_WORDS on, as position 0 is nobody's."""
    used: npt.NDArray[np.int64]
    """How many words of the log; and how many it would be if none had been forgotten."""


def new_long_cache(num_words: int) -> LongCache:
    """An empty one with a log of so many words, a power of two."""
    return LongCache(
        aligned_zeros(num_words // INDEX_SHARE, np.uint64),
        aligned_zeros(num_words, np.uint64),
        np.full(2, RECORD_WORDS, np.int64),
    )


@kernel(forceinline=True)
def find_record(text, at, length, hashed, long):
    """The slot of the pre-token `text[at:at + length]` in the index, or the free one where it would be."""
    slots = long.slots
    slot = first_slot(slots, hashed, 1)
    while slots[slot] != FREE:
        if (slots[slot] ^ hashed) >> POSITION_BITS == 0 and is_record_of(text, at, length, long.log, slots[slot]):
            return slot
        slot = slot + 1 & slots.size - 1
    return slot


@kernel(forceinline=True)
def is_record_of(text, at, length, log, entry):
    """Whether an entry of the index is about these bytes."""
    position = np.int64(entry & POSITION_MASK)
    if np.int64(log[position] >> HALF_WORD) != length:
        return False
    differences = np.uint64(0)
    for i in range(text_words(length)):
        differences |= key_word(text, at, length, i) ^ log[position + 1 + i]
    return differences == 0


@kernel(forceinline=True)
def text_words(length):
    """Words that so many bytes take."""
    return length + 7 >> 3


@kernel(forceinline=True)
def write_record(long, slot, length, out, count):
    """Append the ids that a record holds; returns the new count."""
    position = np.int64(long.slots[slot] & POSITION_MASK)
    stop = count + np.int64(long.log[position] & LOW_HALF)
    position += 1 + text_words(length)
    while count < stop:
        store_word(out, count, long.log[position])
        count += 8 // out.itemsize
        position += 1
    return stop


@kernel()
def keep_record(text, at, length, hashed, slot, long, out, count, stop):
    """Remember the ids `out[count:stop]` of a pre-token, at a free slot of the index."""
    ids_per_word = 8 // out.itemsize
    num_id_words = (stop - count + ids_per_word - 1) // ids_per_word
    size = 1 + text_words(length) + num_id_words
    size += -size % RECORD_WORDS
    log, position = long.log, long.used[0]
    if size > log.size // LARGEST_SHARE:
        return
    if position + size > log.size:
        forget_all(long)
        slot, position = first_slot(long.slots, hashed, 1), long.used[0]
    long.slots[slot] = hashed & ~POSITION_MASK | np.uint64(position)
    long.used[0] = position + size
    long.used[1] += size
    log[position] = np.uint64(length) << HALF_WORD | np.uint64(stop - count)
    position += 1
    for i in range(text_words(length)):
        log[position + i] = key_word(text, at, length, i)
    position += text_words(length)
    for i in range(num_id_words):
        log[position + i] = load_word(out, count + i * ids_per_word)


@kernel()
def forget_all(long):
    """Empty a long cache."""
    for i in range(long.slots.size):
        long.slots[i] = FREE
    long.used[0] = RECORD_WORDS


@kernel()
def move_records(old, new):
    """Put what an old long cache holds into a new, larger one."""
    copy(old.log, 0, new.log, 0, old.used[0])
    new.used[0] = new.used[1] = old.used[0]
    for i in range(old.slots.size):
        if old.slots[i] != FREE:
            slot = first_slot(new.slots, old.slots[i], 1)
            while new.slots[slot] != FREE:
                slot = slot + 1 & new.slots.size - 1
            new.slots[slot] = old.slots[i]
