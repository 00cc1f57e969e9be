"""Records of pre-tokens of any length."""

import numpy as np
import pytest

from tinylm.tokenizer.kernels.chunks import Chunk
from tinylm.tokenizer.kernels.keys import hash_bytes
from tinylm.tokenizer.kernels.long_cache import (
    FREE,
    RECORD_WORDS,
    LongCache,
    find_record,
    keep_record,
    move_records,
    new_long_cache,
    write_record,
)

SLACK = 32


def keep(word: bytes, ids: list[int], long: LongCache, hashed: int | None = None) -> None:
    """Remember the ids of a word that is not there yet."""
    text, hashed = Chunk.of(word).text, hash_of(word) if hashed is None else hashed
    slot = find_record(text, 0, len(word), np.uint64(hashed), long)
    assert long.slots[slot] == FREE
    out = np.array([7, *ids, *[9] * SLACK], np.uint16)
    keep_record(text, 0, len(word), np.uint64(hashed), slot, long, out, 1, 1 + len(ids))


def known(word: bytes, long: LongCache, hashed: int | None = None) -> list[int] | None:
    """The ids of a word, or None."""
    text, hashed = Chunk.of(word).text, hash_of(word) if hashed is None else hashed
    slot = find_record(text, 0, len(word), np.uint64(hashed), long)
    if long.slots[slot] == FREE:
        return None
    out = np.zeros(1 + len(word) + SLACK, np.uint16)
    return out[1 : write_record(long, slot, len(word), out, 1)].tolist()


def hash_of(word: bytes) -> int:
    """As the encoder has it."""
    return int(hash_bytes(Chunk.of(word).text, 0, len(word)))


@pytest.mark.parametrize("length", [8, 15, 16, 17, 48, 400])
@pytest.mark.parametrize("num_ids", [1, 3, 4, 5, 8])
def test_what_is_kept_is_known(length: int, num_ids: int) -> None:
    """Whole words or not, of bytes and of ids; and nothing else is known."""
    long, word, ids = new_long_cache(1 << 12), b"q" * length, list(range(65_000, 65_000 + num_ids))
    keep(word, ids, long)
    assert known(word, long) == ids
    assert known(word + b"q", long) is None
    assert long.used[0] == long.used[1]
    assert long.used[0] % RECORD_WORDS == 0


def test_words_with_one_hash_are_told_apart() -> None:
    """By their bytes, the last ones included, and by their length."""
    long = new_long_cache(1 << 12)
    words = [b"q" * 17, b"q" * 18, b"q" * 16 + b"r", b"r" + b"q" * 16, b"q" * 17 + b"\0"]
    for i, word in enumerate(words):
        keep(word, [i], long, hashed=2**64 - 1)
    assert [known(word, long, hashed=2**64 - 1) for word in words] == [[i] for i in range(len(words))]


def test_a_full_log_begins_anew() -> None:
    """The words before are forgotten, those after are known; a word too large for a log leaves it as it is."""
    long = new_long_cache(16 * RECORD_WORDS)
    words = [b"a long word " + str(i).encode() * 10 for i in range(16)]
    for i, word in enumerate(words[:15]):
        keep(word, [i], long)
    assert [known(word, long) for word in words[:15]] == [[i] for i in range(15)]
    keep(b"q" * 80, [1], long)
    assert known(b"q" * 80, long) is None
    keep(words[15], [15], long)
    assert [known(word, long) for word in words] == [None] * 15 + [[15]]


def test_growth_keeps_all() -> None:
    """A larger cache knows what the smaller one did."""
    small, large = new_long_cache(1 << 10), new_long_cache(1 << 12)
    words = [b"a long word " + str(i).encode() * 10 for i in range(100)]
    for i, word in enumerate(words):
        keep(word, [i], small)
    move_records(small, large)
    keep(b"one more long word", [100], large)
    assert [known(word, large) for word in [*words, b"one more long word"]] == [[i] for i in range(101)]
