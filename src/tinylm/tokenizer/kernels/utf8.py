"""Characters beyond ASCII: decoding them, one at a time, and refusing what is not UTF-8."""

import numpy as np

from tinylm.tokenizer.kernels.intrinsics import lowest_bit, mask_in_range
from tinylm.tokenizer.kernels.kernel import kernel
from tinylm.tokenizer.kernels.unicode_classes import WHITE

NONE = np.uint64(0)
ONE = np.uint64(1)

LONGEST_CHARACTER = 4
"""In bytes."""


@kernel(forceinline=True)
def decode_character(text, at, end):
    """The code point that starts at `text[at]` and its length in bytes; some code point and 0 for what is not UTF-8.

    Only the shortest form is valid, surrogates and code points above U+10FFFF are not (RFC 3629).
    """
    lead = np.int64(text[at])
    if lead < 0x80:
        return lead, 1
    second = np.int64(text[at + 1]) ^ 0x80  # a continuation byte is 10xxxxxx: below 0x40 once its mark is gone
    if 0xC2 <= lead < 0xE0:
        return (lead & 0x1F) << 6 | second, 2 if second < 0x40 and at + 2 <= end else 0
    third = np.int64(text[at + 2]) ^ 0x80
    if 0xE0 <= lead < 0xF0:
        code_point = (lead & 0x0F) << 12 | second << 6 | third
        well_formed = second < 0x40 and third < 0x40 and at + 3 <= end
        return code_point, 3 if well_formed and code_point >= 0x800 and code_point >> 11 != 0x1B else 0
    fourth = np.int64(text[at + 3]) ^ 0x80
    code_point = (lead & 0x07) << 18 | second << 12 | third << 6 | fourth
    well_formed = lead >= 0xF0 and (second | third | fourth) < 0x40 and at + 4 <= end
    return (code_point, 4) if well_formed and 0x10000 <= code_point < 0x110000 and lead < 0xF5 else (0, 0)


@kernel(forceinline=True)
def is_white(text, at, end, classes):
    """1 if the character at `text[at]` is white space, or the text has ended, else 0; as a mask's lowest bit."""
    if at >= end:
        return ONE
    if text[at] < 0x80:
        return ONE if classes[text[at]] == WHITE else NONE
    code_point, length = decode_character(text, at, end)
    return ONE if length > 0 and classes[code_point] == WHITE else NONE


@kernel()
def classify_multibyte(text, begin, at, end, multibyte, classes):
    """Masks of the letters, digits and white space among the multi-byte characters of the block at `text[at]`.

    `multibyte` marks the bytes to look at. All bytes of a character get its class. The fourth mask marks the first byte
    of white space that is followed by something else. The last value is where the text is not UTF-8, or -1.

    No character has to wait for the one before it: where they begin can be seen from the bytes, and whether they follow
    one another without a gap is asked at the end.
    """
    low = high = last_white = covered = NONE  # the bits of each character's class, at first on its first byte alone
    continuation = multibyte & mask_in_range(text, at, 0x80, 0xBF)
    characters = multibyte & ~continuation
    if continuation & ONE:
        position = character_start(text, begin, at)
        code_point, length = decode_character(text, position, end)
        kind = np.uint64(classes[code_point])
        covered = (ONE << np.uint64(length)) - ONE >> np.uint64(at - position)
        low, high = kind & ONE, kind >> ONE
    while characters:
        bit = lowest_bit(characters)
        characters &= characters - ONE
        code_point, length = decode_character(text, at + bit, end)
        kind = np.uint64(classes[code_point])
        covered |= (ONE << np.uint64(length)) - ONE << np.uint64(bit)
        low |= (kind & ONE) << np.uint64(bit)
        high |= kind >> ONE << np.uint64(bit)
        if kind == np.uint64(WHITE) and not is_white(text, at + bit + length, end, classes):
            last_white |= ONE << np.uint64(bit)
    for _ in range(LONGEST_CHARACTER - 1):
        low |= low << ONE & continuation
        high |= high << ONE & continuation
    letters, digits, white = low & ~high, high & ~low, low & high
    invalid = multibyte & ~covered
    return letters, digits, white, last_white, at + lowest_bit(invalid) if invalid else -1


@kernel(forceinline=True)
def character_start(text, begin, at):
    """Where the character that `text[at]` belongs to begins: up to three bytes back, not before `begin`."""
    position = at
    while position > begin and at - position < 3 and text[position] & 0xC0 == 0x80:
        position -= 1
    return position
