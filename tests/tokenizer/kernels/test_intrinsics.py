"""Machine instructions against what they are said to do."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from tinylm.tokenizer.kernels import intrinsics
from tinylm.tokenizer.kernels.intrinsics import BLOCK, PADDING


@njit
def call_mask_in_range(text, at, low, high):  # type: ignore[no-untyped-def]
    """Intrinsics can be called from kernels only."""
    return intrinsics.mask_in_range(text, at, low, high)


@njit
def call_words(data, at, word):  # type: ignore[no-untyped-def]
    """What was at `at`, after putting `word` there."""
    before = intrinsics.load_word(data, at)
    intrinsics.prefetch(data, at)
    intrinsics.store_word(data, at, word)
    return before


@njit
def call_pairs(data, at, other, other_at):  # type: ignore[no-untyped-def]
    """Whether they are the same before and after one is copied over the other."""
    before = intrinsics.same_pair(data, at, other, other_at)
    intrinsics.copy_pair(data, at, other, other_at)
    return before, intrinsics.same_pair(data, at, other, other_at)


@njit
def call_bits(mask):  # type: ignore[no-untyped-def]
    """Lowest bit and number of bits."""
    return intrinsics.lowest_bit(mask), intrinsics.count_bits(mask)


@given(data=st.binary(min_size=BLOCK, max_size=2 * BLOCK), low=st.integers(0, 255), high=st.integers(0, 255))
def test_mask_in_range(data: bytes, low: int, high: int) -> None:
    """Bit i is set when byte i of the block, wherever the block begins, is in the range."""
    low, high = sorted((low, high))
    at = len(data) - BLOCK
    text = np.frombuffer(bytearray(data), np.uint8)
    expected = sum(1 << i for i in range(BLOCK) if low <= data[at + i] <= high)
    assert int(call_mask_in_range(text, at, low, high)) == expected


@given(data=st.binary(min_size=8, max_size=40), word=st.integers(0, 2**64 - 1))
def test_words(data: bytes, word: int) -> None:
    """Eight bytes are read and written as a little-endian number at any address, and no others are touched."""
    at = (len(data) - 8) // 2
    text = np.frombuffer(bytearray(data), np.uint8)
    assert int(call_words(text, at, np.uint64(word))) == int.from_bytes(data[at : at + 8], "little")
    assert text.tobytes() == data[:at] + word.to_bytes(8, "little") + data[at + 8 :]


@given(pair=st.binary(min_size=16, max_size=16), changed=st.integers(-1, 15), at=st.integers(0, 9))
def test_pairs(pair: bytes, changed: int, at: int) -> None:
    """Sixteen bytes are compared and copied at any address of arrays of any type, and no others are touched."""
    other = bytes(byte ^ 1 << changed % 8 if i == changed else byte for i, byte in enumerate(pair))
    source = np.frombuffer(bytearray(b"a" * at + pair + b"b" * 9), np.uint8)
    target = np.frombuffer(bytearray(b"c" * 8 + other + b"d" * 8), np.uint64)
    assert call_pairs(source, at, target, 1) == (changed == -1, True)
    assert target.tobytes() == b"c" * 8 + pair + b"d" * 8


@given(mask=st.integers(0, 2**64 - 1))
def test_bits(mask: int) -> None:
    """Lowest set bit, 64 when there is none, and number of set bits."""
    lowest = (mask & -mask).bit_length() - 1 if mask else 64
    assert call_bits(np.uint64(mask)) == (lowest, mask.bit_count())


def test_padding_covers_what_is_read_too_far() -> None:
    """The last block may begin at the last byte, and what follows it is looked at for white space or a contraction."""
    longest_look = BLOCK - 1 + 4
    assert longest_look <= PADDING
