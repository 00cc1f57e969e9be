"""Special tokens in a text, and the places between them where the text may be cut without changing a pre-token."""

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinylm.tokenizer.kernels.intrinsics import BLOCK, lowest_bit, mask_in_range
from tinylm.tokenizer.kernels.kernel import kernel
from tinylm.tokenizer.kernels.utf8 import NONE, ONE, character_start, is_white

NO_CUT = -1


class Specials(NamedTuple):
    """Special tokens, the longest first: token i is `data[offsets[i]:offsets[i + 1]]` and has the id `ids[i]`."""

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int64]
    first_bytes: npt.NDArray[np.int64]
    """The distinct bytes that they begin with."""

    def tokens(self) -> list[bytes]:
        """The special tokens."""
        return [self.data[begin:end].tobytes() for begin, end in pairwise(self.offsets.tolist())]


def new_specials(ids: Mapping[str, int]) -> Specials:
    """The special tokens with their ids, for kernels."""
    tokens = sorted(((token.encode(), id) for token, id in ids.items()), key=lambda item: -len(item[0]))
    return Specials(
        np.frombuffer(b"".join(token for token, _ in tokens) or b"\0", np.uint8).copy(),
        np.cumsum([0, *(len(token) for token, _ in tokens)], dtype=np.int64),
        np.array([id for _, id in tokens], np.int64),
        np.array(sorted({token[0] for token, _ in tokens}), np.int64),
    )


@kernel()
def find_specials(text, end, specials, found):
    """Write (first byte, byte after it, id) of each special token in `text[:end]` to `found`, from left to right.

    Returns how many there are; when they are more than `found` has rows, the others are only counted.
    """
    count = after = 0
    if specials.ids.size == 0:
        return 0
    for at in range(0, end, BLOCK):
        candidates = NONE
        for byte in specials.first_bytes:
            candidates |= mask_in_range(text, at, byte, byte)
        while candidates:
            begin = at + lowest_bit(candidates)
            candidates &= candidates - ONE
            if begin < after:
                continue
            number = special_at(text, begin, end, specials)
            if number >= 0:
                after = begin + specials.offsets[number + 1] - specials.offsets[number]
                if count < found.shape[0]:
                    found[count, 0], found[count, 1], found[count, 2] = begin, after, specials.ids[number]
                count += 1
    return count


@kernel()
def special_at(text, at, end, specials):
    """Which special token begins at `text[at]`, the longest if several do; -1 for none."""
    for number in range(specials.ids.size):
        first, stop = specials.offsets[number], specials.offsets[number + 1]
        if at + stop - first > end:
            continue
        i = first
        while i < stop and text[at + i - first] == specials.data[i]:
            i += 1
        if i == stop:
            return number
    return -1


@kernel()
def last_cut(text, end, specials, classes):
    """The last place to cut `text[:end]` so that nothing after `end` matters; NO_CUT if there is none."""
    for at in range(end - longest(specials), 0, -1):
        if is_cut(text, at, end, specials, classes):
            return at
    return NO_CUT


@kernel()
def longest(specials):
    """Bytes of the longest special token, at least 1."""
    return specials.offsets[1] if specials.ids.size > 0 else np.int64(1)


@kernel()
def is_cut(text, at, end, specials, classes):
    """Whether no pre-token and no special token spans the place before `text[at]`, whatever surrounds the text.

    White space begins a pre-token after anything but white space, and one that ends in something else does not look
    ahead. Where a text has no white space, a letter before another class will do, or a digit; only ASCII is looked at.
    """
    last, byte = text[at - 1], text[at]
    if byte >= 0x80:
        return False
    if is_ascii_white(byte):
        if is_white(text, character_start(text, 0, at - 1), at, classes):
            return False
    elif not (is_letter(last) and not is_letter(byte) and byte != ord("'")) and not (
        is_digit(last) and not is_digit(byte)
    ):
        return False
    for begin in range(max(0, at - longest(specials) + 1), at):
        number = special_at(text, begin, end, specials)
        if number >= 0 and begin + specials.offsets[number + 1] - specials.offsets[number] > at:
            return False
    return True


@kernel(forceinline=True)
def is_ascii_white(byte):
    """Whether an ASCII byte is white space."""
    return byte == 0x20 or 0x09 <= byte <= 0x0D


@kernel(forceinline=True)
def is_letter(byte):
    """Whether a byte is an ASCII letter."""
    return 0x61 <= byte | 0x20 <= 0x7A


@kernel(forceinline=True)
def is_digit(byte):
    """Whether a byte is an ASCII digit."""
    return 0x30 <= byte <= 0x39
