"""Text to token ids, through a cache from pre-tokens to their ids.

The cache works as a processor's does. A pre-token's hash names a set of two slots, together one cache line; it is in
one of them or nowhere, and a new one drives out the older. So memory is bounded. A slot of 32 bytes is

    key (15 bytes), length (1)  |  up to 7 ids of 16 bits or 3 of 32, their number

A hit compares two words and writes the other two out whole: what lies behind the last id is overwritten by the ids of
the next pre-token. Longer pre-tokens, and those of more ids, are in `long_cache`.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinylm.tokenizer.kernels.batches import Batch, find_batch, new_batch
from tinylm.tokenizer.kernels.bpe import SHORT_PRETOKEN, encode_pretoken
from tinylm.tokenizer.kernels.intrinsics import copy_pair, load_word, same_pair
from tinylm.tokenizer.kernels.kernel import kernel
from tinylm.tokenizer.kernels.keys import (
    LONGEST_KEY,
    SLOT_WORDS,
    SPECIAL,
    copy,
    first_slot,
    hash_bytes,
    hash_key,
)
from tinylm.tokenizer.kernels.long_cache import FREE, LongCache, find_record, keep_record, write_record

SET_WORDS = 2 * SLOT_WORDS
"""A set of two slots: 64 bytes."""

SLACK_IDS = 32
"""Ids written beyond the last one that counts, at most."""


class Cache(NamedTuple):
    """What one thread remembers."""

    short: npt.NDArray[np.uint64]
    """Sets of two slots of four words."""
    stored: npt.NDArray[np.int64]
    """How many pre-tokens have been put into it, `(1,)`."""
    long: LongCache


class Scratch(NamedTuple):
    """Room to work in."""

    batch: Batch
    tokens: npt.NDArray[np.int64]
    """Those of a pre-token that is being merged, `(SHORT_PRETOKEN,)`."""


def new_scratch() -> Scratch:
    """For one thread."""
    return Scratch(new_batch(), np.empty(SHORT_PRETOKEN, np.int64))


@kernel()
def encode_text(text, end, specials, classes, table, cache, scratch, out, stops):
    """Write the ids of `text[:end]` to `out`; returns how many, or -1 - position for a byte that is not UTF-8.

    `specials` is (first byte, byte after it, id) of each special token in the text, in order; `stops` gets the number
    of ids up to and including each. `out` has room for one id a byte and SLACK_IDS.
    """
    batch = scratch.batch
    begin = count = special = 0
    while begin < end:
        first = special
        num_starts, special = find_batch(text, begin, end, specials, first, classes, cache.short, SET_WORDS, batch)
        if num_starts < 0:
            return num_starts
        count = encode_batch(text, num_starts - 1, special - first, table, cache, scratch, out, count, stops[first:])
        begin = batch.starts[num_starts - 1]
    return count


@kernel()
def encode_batch(text, size, num_specials, table, cache, scratch, out, count, stops):
    """Append the ids of a batch of `size` pre-tokens, noting where its special tokens end; returns the new count."""
    starts, keys, slots, special_indices = scratch.batch
    i = 0
    for special in range(num_specials + 1):
        stop = special_indices[special] + 1 if special < num_specials else size
        while i < stop:
            i, count = write_known(cache.short, i, stop, keys, slots, out, count)
            if i < stop:
                length = starts[i + 1] - starts[i]
                low, high, slot = keys[2 * i], keys[2 * i + 1], slots[i]
                count = encode_missing(text, starts[i], length, low, high, slot, table, cache, scratch, out, count)
                i += 1
        if special < num_specials:
            stops[special] = count
    return count


@kernel(forceinline=True)
def write_known(short, i, stop, keys, slots, out, count):
    """Append the ids of pre-tokens from `i` on as long as the short cache has them; returns the next `i` and count.

    A loop of its own, since what is done with the others would take the registers from it. Which of its two slots has
    a key is found by arithmetic, as no branch could be foreseen.
    """
    while i < stop:
        slot = np.int64(load_word(slots, i))
        slot += SLOT_WORDS * np.int64(same_pair(short, slot + SLOT_WORDS, keys, 2 * i))
        if not same_pair(short, slot, keys, 2 * i):
            break
        count = write_slot(short, slot, out, count)
        i += 1
    return i, count


@kernel(forceinline=True)
def encode_missing(text, at, length, low, high, slot, table, cache, scratch, out, count):
    """Append the ids of a pre-token that the short cache lacks, and remember them."""
    if high == SPECIAL:
        out[count] = low
        keep_short(cache, slot, low, high, out, count, count + 1)
        return count + 1
    may_be_long = length > ids_held(out)
    hashed, record_slot = low, 0
    if may_be_long:
        hashed = hash_key(low, high) if length <= LONGEST_KEY else hash_bytes(text, at, length)
        record_slot = find_record(text, at, length, hashed, cache.long)
        if cache.long.slots[record_slot] != FREE:
            return write_record(cache.long, record_slot, length, out, count)
    stop = encode_pretoken(text, at, length, table, scratch.tokens, out, count)
    if length <= LONGEST_KEY and stop - count <= ids_held(out):
        keep_short(cache, slot, low, high, out, count, stop)
    else:
        keep_record(text, at, length, hashed, record_slot, cache.long, out, count, stop)
    return stop


@kernel(forceinline=True)
def ids_held(out):
    """How many ids fit into a slot; their number stands in the place of one more."""
    return 2 * 64 // np.iinfo(out.dtype).bits - 1


@kernel(forceinline=True)
def write_slot(short, slot, out, count):
    """Append the ids that a slot holds; returns the new count."""
    copy_pair(short, slot + 2, out, count)
    return count + np.int64(load_word(short, slot + 3) >> np.uint64(64 - np.iinfo(out.dtype).bits))


@kernel(forceinline=True)
def keep_short(cache, slot, low, high, out, count, stop):
    """Put the ids `out[count:stop]` of a pre-token into its set of the short cache: the inverse of `write_slot`."""
    short = cache.short
    make_older(short, slot)
    short[slot], short[slot + 1] = low, high
    copy_pair(out, count, short, slot + 2)
    number_shift = np.uint64(64 - np.iinfo(out.dtype).bits)
    short[slot + 3] &= (np.uint64(1) << number_shift) - np.uint64(1)
    short[slot + 3] |= np.uint64(stop - count) << number_shift
    cache.stored[0] += 1


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
