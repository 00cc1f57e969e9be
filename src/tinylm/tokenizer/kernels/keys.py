"""Pre-tokens as keys of hash tables: up to fifteen bytes are two integers; longer ones are hashed and compared.

The tables are flat uint64 arrays of slots of one or four words, none of which lies across two cache lines.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from tinylm.tokenizer.kernels.intrinsics import load_word, lowest_bit
from tinylm.tokenizer.kernels.kernel import kernel

LONGEST_KEY = 15
SLOT_WORDS = 4
CACHE_LINE_BYTES = 64

SPECIAL = np.uint64(2**64 - 1)
"""The upper half of a special token's key; the lower half is its id."""

_LENGTH_SHIFT = np.uint64(56)
_LOWEST_BYTES = np.array([2 ** (8 * num_bytes) - 1 for num_bytes in range(9)], np.uint64)
"""Masks that keep so many bytes of a word."""
_LOW_MASKS = _LOWEST_BYTES[[min(length, 8) for length in range(LONGEST_KEY + 1)]]
_HIGH_MASKS = _LOWEST_BYTES[[max(length - 8, 0) for length in range(LONGEST_KEY + 1)]]
"""The same for the two words of a key, by its length."""
_FIRST_FACTOR, _SECOND_FACTOR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)  # odd, bits well mixed


@kernel(forceinline=True)
def key(text, at, length):
    """The bytes of a pre-token of up to LONGEST_KEY bytes, and in the last byte their number.

    A free slot holds (0, 0), which is no key. A pre-token too long for a key gets (1, 0), which is none either.
    """
    if length > LONGEST_KEY:
        return np.uint64(1), np.uint64(0)
    low = load_word(text, at) & load_word(_LOW_MASKS, length)
    return low, load_word(text, at + 8) & load_word(_HIGH_MASKS, length) | np.uint64(length) << _LENGTH_SHIFT


@kernel(forceinline=True)
def key_word(text, at, length, number):
    """Eight bytes of a pre-token, zeros after its end."""
    return load_word(text, at + 8 * number) & _LOWEST_BYTES[max(0, min(8, length - 8 * number))]


@kernel(forceinline=True)
def hash_key(low, high):
    """A hash whose upper bits are good, as all bits of the key reach them: a table of 2 ** n slots takes the first n.

    On real words as even as chance. Two products side by side: mixing one into the other is no better, and later.
    """
    return low * _FIRST_FACTOR + high * _SECOND_FACTOR


@kernel()
def hash_bytes(text, at, length):
    """The same for eight bytes or more, eight at a time. Never 0."""
    hashed = np.uint64(length)
    for i in range(0, length - 8, 8):
        hashed = hash_key(hashed, load_word(text, at + i))
    return hash_key(hashed, load_word(text, at + length - 8)) | np.uint64(1)


@kernel()
def equal_bytes(text, at, other, other_at, length):
    """Whether `length` >= 8 bytes of two buffers are the same."""
    for i in range(0, length - 8, 8):
        if load_word(text, at + i) != load_word(other, other_at + i):
            return False
    return load_word(text, at + length - 8) == load_word(other, other_at + length - 8)


@kernel(forceinline=True)
def first_slot(table, hashed, slot_words):
    """Where in `table` the search for a key with this hash begins, as the number of its first word."""
    return np.int64(hashed >> hash_shift(table, slot_words)) * slot_words


@kernel(forceinline=True)
def hash_shift(table, slot_words):
    """How far a hash is shifted to leave the number of a slot."""
    return np.uint64(64 - lowest_bit(np.uint64(table.size // slot_words)))


@kernel(forceinline=True)
def copy(source, source_at, target, target_at, number):
    """Copy so many elements of one array to another."""
    for i in range(number):
        target[target_at + i] = source[source_at + i]


def new_slots(bits: int) -> npt.NDArray[np.uint64]:
    """2 ** `bits` free slots, the first at the start of a cache line."""
    return aligned_zeros(SLOT_WORDS << bits, np.uint64)


def aligned_zeros(size: int, dtype: Any) -> npt.NDArray[Any]:
    """`np.zeros(size, dtype)` that begins at the start of a cache line."""
    num_bytes = size * np.dtype(dtype).itemsize
    room = np.zeros(num_bytes + CACHE_LINE_BYTES, np.uint8)
    skip = -room.ctypes.data % CACHE_LINE_BYTES
    return room[skip : skip + num_bytes].view(dtype)
