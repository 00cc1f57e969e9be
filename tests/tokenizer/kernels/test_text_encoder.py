"""Encoding chunks against the plain tokenizer and tiktoken."""

import random
import unicodedata

import numpy as np
import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from tinylm.tokenizer import Tokenizer
from tinylm.tokenizer.kernel_choice import LARGEST_VOCAB_SIZE
from tinylm.tokenizer.kernels import text_encoder
from tinylm.tokenizer.kernels.chunks import Chunk, InvalidTextError
from tinylm.tokenizer.kernels.text_encoder import TextEncoder
from tinylm.tokenizer.merge import merge_words
from tinylm.tokenizer.pretokenize import GPT2
from tinylm.tokenizer.train import initial_vocab

SPECIALS = ["<|e|>", "<|e|><|f|>", "\n\n"]
WORDS = {
    b" the": 90,
    b" there": 40,
    b"hat": 30,
    "ähnlich".encode(): 25,
    "天地玄黄".encode(): 20,
    b" " * 20: 9,
    b"z" * 40: 8,
}
MERGES = list(merge_words(WORDS, 80))
TOKENIZER = Tokenizer(initial_vocab(MERGES), MERGES, SPECIALS)
LARGE = Tokenizer({i * 257 % 65_537 + 256: token for i, token in TOKENIZER.vocab.items()}, MERGES, SPECIALS)
DIGITS_TO_LETTERS = str.maketrans("0123456789", "ghijklmnop")
TEXT = st.lists(
    st.sampled_from(
        [*map(bytes.decode, WORDS), *SPECIALS, "'s", "!", "!" * 14, "é", "éééééééé", "q" * 31, "q" * 60, " a"]
    )
    | st.text(max_size=30)
).map("".join)


def encoded(encoder: TextEncoder, text: str) -> list[int]:
    """The ids of a text as one chunk."""
    return encoder.encode(Chunk.of(text.encode())).ids.tolist()


@pytest.mark.parametrize("tokenizer", [TOKENIZER, LARGE], ids=["uint16", "uint32"])
@given(texts=st.lists(TEXT, max_size=3))
def test_ids_are_those_of_the_plain_tokenizer(tokenizer: Tokenizer, texts: list[str]) -> None:
    """With an empty cache and with a warm one, for ids of 16 and of 32 bits, special tokens recognised."""
    encoder = TextEncoder(tokenizer.kernel_vocabulary)
    for text in texts * 2:
        assert encoded(encoder, text) == tokenizer.encode(text)


@given(texts=st.lists(TEXT, max_size=6))
def test_a_cache_that_is_too_small_changes_nothing(texts: list[str]) -> None:
    """Pre-tokens that drive each other out, and growth on the way, leave the ids as they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_encoder, "FIRST_CACHE_WORDS", 128)
        patch.setattr(text_encoder, "LAST_SHORT_WORDS", 256)
        patch.setattr(text_encoder, "LAST_LONG_WORDS", 256)
        encoder = TextEncoder(TOKENIZER.kernel_vocabulary)
        for text in texts * 2:
            assert encoded(encoder, text) == TOKENIZER.encode(text)


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many different pre-tokens come, it grows to its bound and no further."""
    monkeypatch.setattr(text_encoder, "FIRST_CACHE_WORDS", 1 << 16)
    monkeypatch.setattr(text_encoder, "LAST_SHORT_WORDS", 1 << 17)
    monkeypatch.setattr(text_encoder, "LAST_LONG_WORDS", 1 << 17)
    encoder = TextEncoder(TOKENIZER.kernel_vocabulary)
    for start in range(0, 200_000, 50_000):
        numbers = (f" {i:x}".translate(DIGITS_TO_LETTERS) for i in range(start, start + 50_000))
        assert len(encoded(encoder, "".join(f"{word}{word}qqqqqqqqq" for word in numbers))) > 100_000
    assert encoder.cache.short.size == encoder.cache.long.log.size == 1 << 17
    assert encoder.cache.long.slots.size == 1 << 15


def test_special_stops() -> None:
    """The number of ids up to and including each special token, the longest one where several begin."""
    ids, stops = TextEncoder(TOKENIZER.kernel_vocabulary).encode(Chunk.of(b"a<|e|><|f|>bc<|e|><|e|>"))
    assert stops.tolist() == [2, 5, 6]
    assert [TOKENIZER.vocab[ids[stop - 1]] for stop in stops] == [b"<|e|><|f|>", b"<|e|>", b"<|e|>"]


@given(texts=st.lists(TEXT, max_size=5), times=st.integers(1, 200))
def test_special_stops_in_many_batches(texts: list[str], times: int) -> None:
    """Wherever in a batch of pre-tokens they stand, first, last or alone, known already or not."""
    encoder = TextEncoder(TOKENIZER.kernel_vocabulary)
    for _ in range(2):
        ids, stops = encoder.encode(Chunk.of("".join(texts).encode() * times))
        special_ids = list(TOKENIZER.special_token_ids.values())
        assert stops.tolist() == (np.flatnonzero(np.isin(ids, special_ids)) + 1).tolist()


def test_text_that_is_not_utf8() -> None:
    """It is refused, wherever in the chunk."""
    for text in (b"\xff", b"a" * 100 + b"\xe9", b"<|e|>\xc3<|e|>"):
        with pytest.raises(InvalidTextError):
            TextEncoder(TOKENIZER.kernel_vocabulary).encode(Chunk.of(text))


def test_the_largest_vocabulary() -> None:
    """Ids just below the bound of the merge table are merged and written whole."""
    top = LARGEST_VOCAB_SIZE - 1
    vocab = {byte: bytes([byte]) for byte in range(256)} | {top - 1: b"ab", top: b"abc"}
    tokenizer = Tokenizer(vocab, [(b"a", b"b"), (b"ab", b"c")])
    assert encoded(TextEncoder(tokenizer.kernel_vocabulary), "abcab") == [top, top - 1]


def test_ids_equal_tiktokens_on_random_unicode() -> None:
    """Five thousand strings of any assigned characters, dense in white space and apostrophes."""
    tik = tiktoken.Encoding(
        "ours",
        pat_str=GPT2,
        mergeable_ranks={token: i for i, token in initial_vocab(MERGES).items()},
        special_tokens={},
    )
    choose = random.Random(0)
    assigned = [chr(i) for i in range(0x110000) if unicodedata.category(chr(i)) not in ("Cs", "Cn")]
    encoder = TextEncoder(Tokenizer(initial_vocab(MERGES), MERGES).kernel_vocabulary)
    texts = []
    for _ in range(5000):
        common = choose.choices([" ", " ", "\n", "'", "the", "s", "\u00a0", "\u3000", "1", "é"], k=10)
        texts.append("".join(choose.choices(common + choose.choices(assigned, k=10), k=choose.randint(0, 60))))
    ids = [encoded(encoder, text) for text in texts]
    assert ids == tik.encode_ordinary_batch(texts, num_threads=1)
