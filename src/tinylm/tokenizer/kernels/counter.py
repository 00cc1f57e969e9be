"""How often each distinct pre-token occurs: all that BPE training needs to know of a text.

A pre-token of up to fifteen bytes is a slot of (key, key, count, unused) in one open-addressing table; a longer one
is a slot of (hash, position, length, count) in a second, its bytes in a third array. Both tables are at most half full,
so that a search soon meets the key or a free slot. Memory grows with the number of distinct pre-tokens, about a hundred
bytes for each, and not with the size of the text.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinylm.tokenizer.kernels.batches import find_batch, new_batch
from tinylm.tokenizer.kernels.chunks import Chunk, InvalidTextError, specials_in
from tinylm.tokenizer.kernels.cuts import Specials
from tinylm.tokenizer.kernels.intrinsics import PADDING, same_pair
from tinylm.tokenizer.kernels.kernel import kernel
from tinylm.tokenizer.kernels.keys import (
    LONGEST_KEY,
    SLOT_WORDS,
    SPECIAL,
    aligned_zeros,
    copy,
    equal_bytes,
    first_slot,
    hash_bytes,
    hash_key,
    key,
)
from tinylm.tokenizer.kernels.scanner import STARTS_CAPACITY
from tinylm.tokenizer.kernels.unicode_classes import class_table
from tinylm.tokenizer.word_counts import WordCounts

SHORT, LONG, BYTES = range(3)
FIRST_SLOTS = 1 << 14

ONE = np.uint64(1)


class Tables(NamedTuple):
    """What has been counted."""

    short: npt.NDArray[np.uint64]
    long: npt.NDArray[np.uint64]
    data: npt.NDArray[np.uint8]
    used: npt.NDArray[np.int64]
    """Slots in use in the first two, bytes in the third."""


class PretokenCounter:
    """Counts the pre-tokens of one text after another."""

    def __init__(self) -> None:
        self._tables = Tables(
            aligned_zeros(SLOT_WORDS * FIRST_SLOTS, np.uint64),
            aligned_zeros(SLOT_WORDS * FIRST_SLOTS, np.uint64),
            np.empty(FIRST_SLOTS, np.uint8),
            np.zeros(3, np.int64),
        )
        self._batch = new_batch()

    def add_chunk(self, chunk: Chunk, specials: Specials) -> None:
        """Count the pre-tokens of a chunk. Raises: InvalidTextError when it is not UTF-8."""
        bounds = specials_in(chunk, specials)
        at = 0
        while 0 <= at < chunk.size:
            self.reserve(STARTS_CAPACITY, STARTS_CAPACITY, chunk.size - at)
            at = count_text(chunk.text, at, chunk.size, bounds, class_table(), self._tables, self._batch)
        if at < 0:
            raise InvalidTextError

    def add_words(self, words: WordCounts) -> None:
        """Add what another counter has counted."""
        data = np.concatenate([words.data, np.zeros(PADDING, np.uint8)])
        num_long = int(np.count_nonzero(np.diff(words.offsets) > LONGEST_KEY))
        self.reserve(words.counts.size - num_long, num_long, words.data.size)
        add_words(data, words.offsets, words.counts, self._tables)

    def words(self) -> WordCounts:
        """All pre-tokens counted so far; their order has no meaning."""
        return WordCounts(*list_words(self._tables))

    def reserve(self, short: int, long: int, data: int) -> None:
        """Make room for so many more slots and bytes."""
        tables, used = self._tables, self._tables.used
        if 2 * SLOT_WORDS * (used[SHORT] + short) > tables.short.size:
            tables = tables._replace(short=larger_table(tables.short, used[SHORT] + short, by_key=True))
        if 2 * SLOT_WORDS * (used[LONG] + long) > tables.long.size:
            tables = tables._replace(long=larger_table(tables.long, used[LONG] + long, by_key=False))
        if used[BYTES] + data > tables.data.size:
            larger = np.empty(2 * (used[BYTES] + data), np.uint8)
            larger[: used[BYTES]] = tables.data[: used[BYTES]]
            tables = tables._replace(data=larger)
        self._tables = tables


def larger_table(table: npt.NDArray[np.uint64], num_slots: int, *, by_key: bool) -> npt.NDArray[np.uint64]:
    """A table with the same slots that is at most half full with `num_slots`."""
    larger = aligned_zeros(SLOT_WORDS << int(2 * num_slots - 1).bit_length(), np.uint64)
    move_slots(table, larger, by_key)
    return larger


@kernel()
def move_slots(old, new, by_key):
    """Put the slots of a table into an empty one, by their key or by the hash that they hold."""
    for slot in range(0, old.size, SLOT_WORDS):
        if old[slot] != 0 or old[slot + 1] != 0:
            new_slot = first_slot(new, hash_key(old[slot], old[slot + 1]) if by_key else old[slot], SLOT_WORDS)
            while new[new_slot] != 0 or new[new_slot + 1] != 0:
                new_slot = next_slot(new, new_slot)
            copy(old, slot, new, new_slot, SLOT_WORDS)


@kernel(forceinline=True)
def next_slot(table, slot):
    """The slot after another one; the first after the last."""
    slot += SLOT_WORDS
    return slot if slot < table.size else 0


@kernel()
def count_text(text, begin, end, specials, classes, tables, batch):
    """Add the pre-tokens of `text[begin:end]`; returns where it stopped.

    That is `end`, or earlier to have a table made larger, or -1 - position where it is not UTF-8.
    `specials` is (first byte, byte after it, id) of each special token in the text, in order.
    """
    short = tables.short
    starts, keys, slots, _ = batch
    special = 0
    while special < specials.shape[0] and specials[special, 0] < begin:
        special += 1
    while begin < end and has_room(short, tables.used[SHORT]) and has_room(tables.long, tables.used[LONG]):
        num_starts, special = find_batch(text, begin, end, specials, special, classes, short, SLOT_WORDS, batch)
        if num_starts < 0:
            return num_starts
        for i in range(num_starts - 1):
            slot = slots[i]
            if same_pair(short, slot, keys, 2 * i):
                short[slot + 2] += ONE
            else:
                length = starts[i + 1] - starts[i]
                add_word(text, starts[i], length, ONE, keys[2 * i], keys[2 * i + 1], slot, tables)
        begin = starts[num_starts - 1]
    return begin


@kernel(forceinline=True)
def has_room(table, used):
    """Whether a table stays at most half full with as many pre-tokens more as are found at a time."""
    return 2 * SLOT_WORDS * (used + STARTS_CAPACITY) <= table.size


@kernel()
def add_words(data, offsets, counts, tables):
    """Add words and their counts; there is room for them."""
    for i in range(counts.size):
        length = offsets[i + 1] - offsets[i]
        low, high = key(data, offsets[i], length)
        slot = first_slot(tables.short, hash_key(low, high), SLOT_WORDS)
        add_word(data, offsets[i], length, np.uint64(counts[i]), low, high, slot, tables)


@kernel()
def add_word(text, at, length, count, low, high, slot, tables):
    """Add `count` to the pre-token `text[at:at + length]`, of key (low, high), looking for it from `slot` on."""
    if length > LONGEST_KEY and high != SPECIAL:
        add_long(text, at, length, count, tables)
        return
    short = tables.short
    while short[slot] != low or short[slot + 1] != high:
        if short[slot + 1] == 0:
            short[slot], short[slot + 1] = low, high
            tables.used[SHORT] += 1
            break
        slot = next_slot(short, slot)
    short[slot + 2] += count


@kernel()
def add_long(text, at, length, count, tables):
    """Add `count` to a pre-token that is too long for a key."""
    long, data, used = tables.long, tables.data, tables.used
    hashed = hash_bytes(text, at, length)
    slot = first_slot(long, hashed, SLOT_WORDS)
    while long[slot] != 0:
        same = long[slot] == hashed and np.int64(long[slot + 2]) == length
        if same and equal_bytes(text, at, data, np.int64(long[slot + 1]), length):
            long[slot + 3] += count
            return
        slot = next_slot(long, slot)
    long[slot], long[slot + 1], long[slot + 2], long[slot + 3] = (
        hashed,
        np.uint64(used[BYTES]),
        np.uint64(length),
        count,
    )
    copy(text, at, data, used[BYTES], length)
    used[BYTES] += length
    used[LONG] += 1


@kernel(_nrt=True)
def list_words(tables):
    """The data, offsets and counts of all words."""
    short, long = tables.short, tables.long
    num_words, num_bytes = tables.used[LONG], tables.used[BYTES]
    for slot in range(0, short.size, SLOT_WORDS):
        if is_word(short, slot):
            num_words += 1
            num_bytes += np.int64(short[slot + 1] >> np.uint64(56))
    data, offsets = np.empty(num_bytes, np.uint8), np.zeros(num_words + 1, np.int64)
    counts = np.empty(num_words, np.int64)
    word = at = 0
    for slot in range(0, short.size, SLOT_WORDS):
        if is_word(short, slot):
            length = np.int64(short[slot + 1] >> np.uint64(56))
            for i in range(length):
                data[at + i] = short[slot + (i >> 3)] >> np.uint64(8 * (i & 7)) & np.uint64(255)
            at += length
            counts[word], offsets[word + 1] = np.int64(short[slot + 2]), at
            word += 1
    for slot in range(0, long.size, SLOT_WORDS):
        if long[slot] != 0:
            position, length = np.int64(long[slot + 1]), np.int64(long[slot + 2])
            data[at : at + length] = tables.data[position : position + length]
            at += length
            counts[word], offsets[word + 1] = np.int64(long[slot + 3]), at
            word += 1
    return data, offsets, counts


@kernel(forceinline=True)
def is_word(short, slot):
    """Whether a slot is in use, and not by a special token."""
    return short[slot + 1] != 0 and short[slot + 1] != SPECIAL
