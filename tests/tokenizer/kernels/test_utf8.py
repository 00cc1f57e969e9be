"""Characters beyond ASCII."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinylm.tokenizer.kernels.unicode_classes import NUM_CODE_POINTS
from tinylm.tokenizer.kernels.utf8 import character_start, decode_character


def padded(data: bytes) -> np.ndarray:
    """Bytes with some that belong to nothing after them."""
    return np.frombuffer(bytearray(data + b"\x80" * 8), np.uint8)


@given(data=st.binary(min_size=1, max_size=5) | st.characters(exclude_categories=["Cs"]).map(str.encode))
def test_decoding(data: bytes) -> None:
    """The character that the bytes begin with and its length, or length 0, as in Python; always a code point."""
    code_point, length = decode_character(padded(data), 0, len(data))
    assert code_point < NUM_CODE_POINTS
    for expected in range(1, min(4, len(data)) + 1):
        try:
            character = data[:expected].decode()
        except UnicodeDecodeError:
            continue
        assert (chr(code_point), length) == (character, expected)
        return
    assert length == 0


@pytest.mark.parametrize("code_point", [0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF])
def test_the_ends_of_each_length(code_point: int) -> None:
    """The first and the last character of each length."""
    data = chr(code_point).encode()
    assert decode_character(padded(data), 0, len(data)) == (code_point, len(data))
    assert decode_character(padded(data), 0, len(data) - 1)[1] == 0


@pytest.mark.parametrize(
    "data",
    [
        b"\xc0\x80",
        b"\xc1\xbf",
        b"\xe0\x9f\xbf",
        b"\xed\xa0\x80",
        b"\xf0\x8f\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xff",
        b"\xff\x80\x00\x00",
        b"\x80",
    ],
)
def test_what_only_looks_like_utf8(data: bytes) -> None:
    """Overlong forms, surrogates, what is above U+10FFFF, and stray bytes are invalid; none leaves the class table."""
    code_point, length = decode_character(padded(data), 0, len(data))
    assert length == 0
    assert code_point < NUM_CODE_POINTS


def test_the_start_of_a_character() -> None:
    """From any byte of it, but not before the text, and not further than a character is long."""
    text = padded("a天".encode())
    assert [character_start(text, 0, at) for at in range(4)] == [0, 1, 1, 1]
    assert character_start(text, 2, 3) == 2
    assert character_start(padded(b"\x80" * 9), 0, 8) == 5
