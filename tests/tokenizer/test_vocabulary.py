"""What has to hold between vocabulary, merges and special tokens."""

import pytest

from tinylm.errors import UsageError
from tinylm.tokenizer import Tokenizer
from tinylm.tokenizer.vocabulary import byte_ids, ids_by_token, merges_by_pair, with_special_tokens

BYTES = {byte: bytes([byte]) for byte in range(256)}


def test_special_tokens_go_to_the_end() -> None:
    """Special tokens that the vocabulary lacks follow its largest id, in the order given; others stay."""
    vocab = with_special_tokens({0: b"a", 7: b"<x>"}, ["<y>", "<x>", "<z>"])
    assert vocab == {0: b"a", 7: b"<x>", 8: b"<y>", 9: b"<z>"}


def test_every_byte_is_needed() -> None:
    """A vocabulary that lacks bytes is refused, with how many and which."""
    with pytest.raises(UsageError, match=r"lacks 2 of the 256 bytes \(0x20, 0xff\)"):
        byte_ids(ids_by_token({id: token for id, token in BYTES.items() if id not in (0x20, 0xFF)}))
    with pytest.raises(UsageError, match=r"lacks 256 of the 256 bytes \(0x00, 0x01, 0x02, 0x03, \.\.\.\)"):
        Tokenizer({}, [])


def test_merges_are_of_known_tokens() -> None:
    """A merge with a part or a result that has no id is refused, with its place in the list."""
    with pytest.raises(UsageError, match=r"merge 1 joins b'a' and b'b', but b'ab' is not in the vocabulary"):
        Tokenizer(BYTES, [(b"a", b"b")])
    with pytest.raises(UsageError, match=r"merge 2 joins b'ab' and b'cd', but b'cd' is not"):
        Tokenizer(BYTES | {256: b"ab", 257: b"abcd"}, [(b"a", b"b"), (b"ab", b"cd")])


def test_of_equal_merges_the_first_counts() -> None:
    """A merge listed twice has its first rank."""
    assert merges_by_pair([(b"a", b"b"), (b"a", b"b")], {b"a": 0, b"b": 1, b"ab": 2}) == {(0, 1): (0, 2)}
