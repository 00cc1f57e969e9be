"""GPT-2's way to write bytes as characters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from tinylm.tokenizer.byte_unicode import FROM_UNICODE, TO_UNICODE, to_bytes, to_text


def test_the_alphabet_is_that_of_tokenizers() -> None:
    """The 256 characters are those of Hugging Face's ByteLevel."""
    assert set(FROM_UNICODE) == set(pre_tokenizers.ByteLevel.alphabet())


def test_golden() -> None:
    """The forms that everybody knows: `Ġ` for a space, `Ċ` for a line end, `é` in two characters."""
    assert to_text(" the\né!".encode()) == "ĠtheĊÃ©!"
    assert [TO_UNICODE[byte] for byte in (0x00, 0x7F, 0xA0, 0xAD)] == ["Ā", "ġ", "ł", "Ń"]


@given(st.binary())
def test_there_and_back(token: bytes) -> None:
    """Any bytes come back."""
    assert to_bytes(to_text(token)) == token


def test_other_characters_stand_for_nothing() -> None:
    """A space is not in the alphabet, so it can separate the two parts of a merge."""
    with pytest.raises(KeyError):
        to_bytes("a b")
