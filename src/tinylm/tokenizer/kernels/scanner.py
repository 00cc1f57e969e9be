r"""Where pre-tokens start: GPT-2's pattern as arithmetic on bit masks, 64 bytes of text at a time.

    '(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+

In words: a pre-token is a run of letters, of digits, or of other characters, with the blank before it if there is one;
white space gives its last character away (a blank joins what follows, anything else stands alone) unless the text
ends there; and an apostrophe that begins a pre-token takes its contraction with it. So a pre-token starts

    where a run of one class starts, unless a blank stands before it;
    where white space starts, and at its last character before anything else;
    after a contraction, while the letter inside it starts nothing.

In the masks bit i belongs to byte i of the block, so `mask << 1` is about the byte before. Masks come from comparing
all bytes with a range at once; only characters beyond ASCII are looked at one by one, in `utf8`.
"""

import numpy as np

from tinylm.tokenizer.kernels.intrinsics import BLOCK, count_bits, lowest_bit, mask_in_range
from tinylm.tokenizer.kernels.kernel import kernel
from tinylm.tokenizer.kernels.utf8 import classify_multibyte, is_white

BATCH = 256
"""Pre-tokens found in one call: few enough that their positions stay in the fastest cache."""

STARTS_CAPACITY = BATCH + 2 * BLOCK

NONE = np.uint64(0)
ONE = np.uint64(1)
ALL = np.uint64(2**64 - 1)
TOP = np.uint64(BLOCK - 1)


@kernel(forceinline=True)
def find_starts(text, begin, end, classes, starts, count):
    """Write the pre-token starts of `text[begin:end]` after the `count` in `starts`, up to about BATCH of them in all.

    Returns how many there are now. `begin` must itself be a start, and is the first one written. When the end of the
    text is reached, `end` is written last: pre-token i is always `text[starts[i]:starts[i + 1]]`, and the next call
    begins at the last position written. PADDING bytes must be readable after `end`. Returns -1 - position for a byte at
    which the text is not UTF-8.
    """
    letter_before = digit_before = other_before = white_before = blank_before = NONE  # the class of the byte before
    revoked = granted = NONE  # starts that a contraction took and gave across the border of two blocks
    at = begin
    while at < end and count < BATCH:
        inside = ALL if end - at >= BLOCK else (ONE << np.uint64(end - at)) - ONE
        letters = mask_in_range(text, at, 0x61, 0x7A) | mask_in_range(text, at, 0x41, 0x5A)
        digits = mask_in_range(text, at, 0x30, 0x39)
        blanks = mask_in_range(text, at, 0x20, 0x20)
        white = mask_in_range(text, at, 0x09, 0x0D) | blanks | ~inside
        multibyte = mask_in_range(text, at, 0x80, 0xFF) & inside
        last_multibyte_white = NONE
        if multibyte:
            more_letters, more_digits, more_white, last_multibyte_white, invalid = classify_multibyte(
                text, begin, at, end, multibyte, classes
            )
            if invalid >= 0:
                return -1 - invalid
            letters, digits, white = letters | more_letters, digits | more_digits, white | more_white
        others = ~(letters | digits | white)

        after_blank = blanks << ONE | blank_before
        letter_starts = letters & ~(letters << ONE | letter_before)
        digit_starts = digits & ~(digits << ONE | digit_before)
        other_starts = others & ~(others << ONE | other_before) & ~after_blank
        white_starts = white & ~(white << ONE | white_before)
        white_follows = white >> ONE | is_white(text, at + BLOCK, end, classes) << TOP
        last_white = white & ~white_follows & ~multibyte | last_multibyte_white
        found = (letter_starts | digit_starts) & ~after_blank | other_starts | white_starts | last_white
        found = found & ~revoked | granted

        apostrophes = mask_in_range(text, at, 0x27, 0x27) & other_starts & inside
        revoked = granted = NONE
        if apostrophes:
            found, revoked, granted = split_contractions(text, at, end, apostrophes, found)
        count = write_positions(found & inside, at, starts, count)

        letter_before, digit_before, white_before = letters >> TOP, digits >> TOP, white >> TOP
        other_before, blank_before = others >> TOP, blanks >> TOP
        at += BLOCK
    if at >= end:
        starts[count] = end
        count += 1
    return count


@kernel()
def split_contractions(text, at, end, apostrophes, found):
    """Starts of the block, given the apostrophes that begin a pre-token: none within a contraction, one after it.

    Returns them with the starts to take from and to add to the next block, where a contraction reaches that far.
    """
    revoked = granted = NONE
    while apostrophes:
        bit = lowest_bit(apostrophes)
        apostrophes &= apostrophes - ONE
        length = contraction_length(text, at + bit, end)
        if length == 0:
            continue
        if bit + 1 < BLOCK:
            found &= ~(ONE << np.uint64(bit + 1))
        else:
            revoked = ONE
        if bit + length < BLOCK:
            found |= ONE << np.uint64(bit + length)
        else:
            granted = ONE << np.uint64(bit + length - BLOCK)
    return found, revoked, granted


@kernel(forceinline=True)
def contraction_length(text, at, end):
    """Bytes of the contraction at the apostrophe `text[at]`: 2 for 's 't 'd 'm, 3 for 'll 've 're, 0 for none."""
    first, second = text[at + 1], text[at + 2]
    if at + 2 <= end and (first == ord("s") or first == ord("t") or first == ord("d") or first == ord("m")):
        return 2
    if at + 3 <= end and (
        (first == ord("l") and second == ord("l")) or (second == ord("e") and (first == ord("v") or first == ord("r")))
    ):
        return 3
    return 0


@kernel(forceinline=True)
def write_positions(mask, at, starts, count):
    """Append `at` + the number of each set bit of `mask`; returns the new count.

    Sixteen are written at a time, needed or not, since a branch that depends on each block's text would cost more.
    """
    stop = count + count_bits(mask)
    while count < stop:
        for i in range(16):
            starts[count + i] = at + lowest_bit(mask)
            mask &= mask - ONE
        count += 16
    return stop
