"""Pre-tokens a batch at a time: found, made keys, their slots in a table on the way from memory when they are needed.

A special token is a pre-token among the others. Its key is its id, so that it is looked up as they are, whatever its
bytes; short documents share a batch, since each batch has its price.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinylm.tokenizer.kernels.intrinsics import prefetch
from tinylm.tokenizer.kernels.kernel import kernel
from tinylm.tokenizer.kernels.keys import SPECIAL, hash_key, hash_shift, key
from tinylm.tokenizer.kernels.scanner import BATCH, STARTS_CAPACITY, find_starts


class Batch(NamedTuple):
    """Room for a batch; of n + 1 starts, n are pre-tokens."""

    starts: npt.NDArray[np.int64]
    keys: npt.NDArray[np.uint64]
    """Two words each."""
    slots: npt.NDArray[np.int64]
    specials: npt.NDArray[np.int64]
    """Which of the pre-tokens are special tokens."""


def new_batch() -> Batch:
    """An empty one."""
    return Batch(
        np.empty(STARTS_CAPACITY, np.int64),
        np.empty(2 * STARTS_CAPACITY, np.uint64),
        np.empty(STARTS_CAPACITY, np.int64),
        np.empty(STARTS_CAPACITY, np.int64),
    )


@kernel()
def find_batch(text, begin, end, specials, number, classes, table, slot_words, batch):
    """Find the next pre-tokens of `text[begin:end]` and where in `table` to look for them.

    `specials` is (first byte, byte after it, id) of each special token in the text, in order; number `number` is the
    first of them after `begin`. Returns how many starts there are, or -1 - position for a byte that is not UTF-8, and
    the number of the special token that comes next.
    """
    starts, keys, slots, special_indices = batch
    num_starts, next_number = find_starts_and_specials(
        text, begin, end, specials, number, classes, starts, special_indices
    )
    if num_starts > 0:
        make_keys(text, starts, num_starts - 1, table, slot_words, keys, slots)
    shift = hash_shift(table, slot_words)
    for j in range(next_number - number):
        i, id = special_indices[j], np.uint64(specials[number + j, 2])
        keys[2 * i], keys[2 * i + 1] = id, SPECIAL
        slots[i] = np.int64(hash_key(id, SPECIAL) >> shift) * slot_words
    return num_starts, next_number


@kernel()
def make_keys(text, starts, size, table, slot_words, keys, slots):
    """The keys of `size` pre-tokens and their slots in `table`.

    A function of its own, since looking for the starts takes all registers.
    """
    shift = hash_shift(table, slot_words)
    at = starts[0]
    for i in range(size):
        next_at = starts[i + 1]
        low, high = key(text, at, next_at - at)
        slot = np.int64(hash_key(low, high) >> shift) * slot_words
        prefetch(table, slot)
        keys[2 * i], keys[2 * i + 1], slots[i] = low, high, slot
        at = next_at


@kernel(forceinline=True)
def find_starts_and_specials(text, begin, end, specials, number, classes, starts, special_indices):
    """`find_starts` from one special token to the next, as long as there is room."""
    first, count = number, 0
    while True:
        is_last = number == specials.shape[0]
        stop = end if is_last else specials[number, 0]
        count = find_starts(text, begin, stop, classes, starts, count)
        if count < 0 or is_last or starts[count - 1] < stop:
            return count, number
        special_indices[number - first] = count - 1
        begin = specials[number, 1]
        number += 1
        if count >= BATCH:
            starts[count] = begin
            return count + 1, number
