"""Text to token ids, through a cache from pre-tokens to their ids.

The cache works as a processor's does. A pre-token's hash names a set of two slots, together one cache line; it is in
one of them or nowhere, and a new one drives out the older. So memory is bounded. A slot of 32 bytes is

    key (15 bytes), length (1)  |  up to 7 ids of 16 bits or 3 of 32, their number

A hit compares two words and writes the other two out whole: what lies behind the last id is overwritten by the ids of
the next pre-token. Pre-tokens of up to 31 bytes, or of more ids, have a cache with slots of 64 bytes; what does not fit
there either is merged each time.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinylm.tokenizer.kernels.batches import Batch, find_batch, new_batch
from tinylm.tokenizer.kernels.bpe import SHORT_PRETOKEN, encode_pretoken
from tinylm.tokenizer.kernels.intrinsics import load_word, store_word
from tinylm.tokenizer.kernels.kernel import kernel
from tinylm.tokenizer.kernels.keys import (
    LONGEST_KEY,
    LONGEST_LONG_KEY,
    SLOT_WORDS,
    SPECIAL,
    copy,
    first_slot,
    hash_key,
    hash_long,
    long_key,
)

SET_WORDS = 2 * SLOT_WORDS
"""A set of two short slots, or a long slot: 64 bytes."""

SHORT, LONG = 0, 1

SLACK_IDS = 32
"""Ids written beyond the last one that counts, at most."""


class Cache(NamedTuple):
    """What one thread remembers."""

    short: npt.NDArray[np.uint64]
    """Sets of two slots of four words."""
    long: npt.NDArray[np.uint64]
    """Slots of eight words."""
    stored: npt.NDArray[np.int64]
    """How many pre-tokens have been put into each."""


class Scratch(NamedTuple):
    """Room to work in."""

    batch: Batch
    ids: npt.NDArray[np.int32]
    """The tokens of a pre-token that is being merged, and their ranks."""
    ranks: npt.NDArray[np.int32]


def new_scratch() -> Scratch:
    """For one thread."""
    return Scratch(new_batch(), np.empty(SHORT_PRETOKEN, np.int32), np.empty(SHORT_PRETOKEN, np.int32))


@kernel()
def encode_text(text, end, specials, classes, table, cache, scratch, out):
    """Write the ids of `text[:end]` to `out`; returns how many, or -1 - position for a byte that is not UTF-8.

    `specials` is (first byte, byte after it, id) of each special token in the text, in order. `out` has room for one id
    a byte and SLACK_IDS.
    """
    batch = scratch.batch
    begin = count = special = 0
    while begin < end:
        num_starts, special = find_batch(text, begin, end, specials, special, classes, cache.short, SET_WORDS, batch)
        if num_starts < 0:
            return num_starts
        count = encode_batch(text, num_starts - 1, table, cache, scratch, out, count)
        begin = batch.starts[num_starts - 1]
    return count


@kernel()
def encode_batch(text, size, table, cache, scratch, out, count):
    """Append the ids of a batch of `size` pre-tokens; returns the new count."""
    starts, lows, highs, slots, _ = scratch.batch
    short = cache.short
    for i in range(size):
        slot = second_or_first(short, slots[i], lows[i], highs[i])
        if load_word(short, slot) == lows[i] and load_word(short, slot + 1) == highs[i]:
            count = write_words(short, slot + 2, 2, out, count)
        else:
            length = starts[i + 1] - starts[i]
            count = encode_missing(text, starts[i], length, lows[i], highs[i], slot, table, cache, scratch, out, count)
    return count


@kernel(forceinline=True)
def second_or_first(short, slot, low, high):
    """The second slot of a set if it has this key, else the first: by arithmetic, as no branch could be foreseen."""
    differences = load_word(short, slot + SLOT_WORDS) ^ low | load_word(short, slot + SLOT_WORDS + 1) ^ high
    return slot + SLOT_WORDS * np.int64(differences == 0)


@kernel()
def encode_missing(text, at, length, low, high, slot, table, cache, scratch, out, count):
    """Append the ids of a pre-token that the short cache lacks, and remember them where they fit."""
    if length > ids_held(2, out) and high != SPECIAL:
        return encode_long(text, at, length, low, high, slot, table, cache, scratch, out, count)
    if high == SPECIAL:
        out[count] = low
        stop = count + 1
    else:
        stop = encode_pretoken(text, at, length, table, scratch.ids, scratch.ranks, out, count)
    keep_short(cache, slot, low, high, out, count, stop)
    return stop


@kernel()
def encode_long(text, at, length, low, high, slot, table, cache, scratch, out, count):
    """The same for a pre-token that may have too many ids for the short cache."""
    long = cache.long
    first, second, third, fourth = long_key(text, at, length)
    long_slot = first_slot(long, hash_long(first, second, third, fourth), SET_WORDS)
    if (
        long[long_slot] == first
        and long[long_slot + 1] == second
        and long[long_slot + 2] == third
        and long[long_slot + 3] == fourth
    ):
        return write_words(long, long_slot + 4, 4, out, count)
    stop = encode_pretoken(text, at, length, table, scratch.ids, scratch.ranks, out, count)
    if length <= LONGEST_KEY and stop - count <= ids_held(2, out):
        keep_short(cache, slot, low, high, out, count, stop)
    elif length <= LONGEST_LONG_KEY and stop - count <= ids_held(4, out):
        long[long_slot], long[long_slot + 1] = first, second
        long[long_slot + 2], long[long_slot + 3] = third, fourth
        keep_words(long, long_slot + 4, 4, out, count, stop)
        cache.stored[LONG] += 1
    return stop


@kernel()
def keep_short(cache, slot, low, high, out, count, stop):
    """Put the ids `out[count:stop]` of a pre-token into its set of the short cache."""
    short = cache.short
    make_older(short, slot)
    short[slot], short[slot + 1] = low, high
    keep_words(short, slot + 2, 2, out, count, stop)
    cache.stored[SHORT] += 1


@kernel(forceinline=True)
def ids_held(num_words, out):
    """How many ids fit into words of a slot, with one place left for their number."""
    return num_words * 64 // np.iinfo(out.dtype).bits - 1


@kernel(forceinline=True)
def write_words(slots, at, num_words, out, count):
    """Append the ids that words of a slot hold; their number stands in the last id's place."""
    bits = np.iinfo(out.dtype).bits
    for i in range(num_words):
        store_word(out, count + i * 64 // bits, load_word(slots, at + i))
    return count + np.int64(load_word(slots, at + num_words - 1) >> np.uint64(64 - bits))


@kernel(forceinline=True)
def keep_words(slots, at, num_words, out, count, stop):
    """The inverse of `write_words`: put the ids `out[count:stop]` and their number into words of a slot."""
    bits = np.iinfo(out.dtype).bits
    for i in range(num_words):
        slots[at + i] = load_word(out, count + i * 64 // bits)
    ids_only = (np.uint64(1) << np.uint64(64 - bits)) - np.uint64(1)
    slots[at + num_words - 1] &= ids_only
    slots[at + num_words - 1] |= np.uint64(stop - count) << np.uint64(64 - bits)


@kernel(forceinline=True)
def make_older(short, slot):
    """Move the first slot of a set to the second one's place."""
    copy(short, slot, short, slot + SLOT_WORDS, SLOT_WORDS)


@kernel()
def move_short(old, new):
    """Put what an old short cache holds into a new one."""
    for slot in range(0, old.size, SLOT_WORDS):
        if old[slot + 1] != 0:
            new_slot = first_slot(new, hash_key(old[slot], old[slot + 1]), SET_WORDS)
            make_older(new, new_slot)
            copy(old, slot, new, new_slot, SLOT_WORDS)


@kernel()
def move_long(old, new):
    """Put what an old long cache holds into a new one."""
    for slot in range(0, old.size, SET_WORDS):
        if old[slot + 3] != 0:
            new_slot = first_slot(new, hash_long(old[slot], old[slot + 1], old[slot + 2], old[slot + 3]), SET_WORDS)
            copy(old, slot, new, new_slot, SET_WORDS)
