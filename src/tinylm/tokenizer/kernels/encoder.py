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
from tinylm.tokenizer.kernels.intrinsics import load_word, store_word
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
    i = 0
    while True:
        i, count = write_known(cache.short, i, size, lows, highs, slots, out, count)
        if i == size:
            return count
        length = starts[i + 1] - starts[i]
        slot = slots[i]
        count = encode_missing(text, starts[i], length, lows[i], highs[i], slot, table, cache, scratch, out, count)
        i += 1


@kernel(forceinline=True)
def write_known(short, i, size, lows, highs, slots, out, count):
    """Append the ids of pre-tokens from `i` on as long as the short cache has them; returns the next `i` and count.

    A loop of its own, since what is done with the others would take the registers from it.
    """
    while i < size:
        low, high = load_word(lows, i), load_word(highs, i)
        slot = second_or_first(short, np.int64(load_word(slots, i)), low, high)
        if load_word(short, slot) != low or load_word(short, slot + 1) != high:
            break
        count = write_words(short, slot + 2, 2, out, count)
        i += 1
    return i, count


@kernel(forceinline=True)
def second_or_first(short, slot, low, high):
    """The second slot of a set if it has this key, else the first: by arithmetic, as no branch could be foreseen."""
    differences = load_word(short, slot + SLOT_WORDS) ^ low | load_word(short, slot + SLOT_WORDS + 1) ^ high
    return slot + SLOT_WORDS * np.int64(differences == 0)


@kernel(forceinline=True)
def encode_missing(text, at, length, low, high, slot, table, cache, scratch, out, count):
    """Append the ids of a pre-token that the short cache lacks, and remember them."""
    if high == SPECIAL:
        out[count] = low
        keep_short(cache, slot, low, high, out, count, count + 1)
        return count + 1
    may_be_long = length > ids_held(2, out)
    hashed, record_slot = low, 0
    if may_be_long:
        hashed = hash_key(low, high) if length <= LONGEST_KEY else hash_bytes(text, at, length)
        record_slot = find_record(text, at, length, hashed, cache.long)
        if cache.long.slots[record_slot] != FREE:
            return write_record(cache.long, record_slot, length, out, count)
    stop = encode_pretoken(text, at, length, table, scratch.tokens, out, count)
    if length <= LONGEST_KEY and stop - count <= ids_held(2, out):
        keep_short(cache, slot, low, high, out, count, stop)
    else:
        keep_record(text, at, length, hashed, record_slot, cache.long, out, count, stop)
    return stop


@kernel(forceinline=True)
def keep_short(cache, slot, low, high, out, count, stop):
    """Put the ids `out[count:stop]` of a pre-token into its set of the short cache."""
    short = cache.short
    make_older(short, slot)
    short[slot], short[slot + 1] = low, high
    keep_words(short, slot + 2, 2, out, count, stop)
    cache.stored[0] += 1


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
