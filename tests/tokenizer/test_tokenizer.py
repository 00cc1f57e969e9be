"""Encoding and decoding, against tiktoken and against themselves."""

import pickle
import tracemalloc
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from tinylm.errors import UsageError
from tinylm.tokenizer import Tokenizer, train_bpe
from tinylm.tokenizer.byte_unicode import TO_UNICODE
from tinylm.tokenizer.pretokenize import PATTERNS

SPECIALS = ["<|endoftext|>", "<|endoftext|><|endoftext|>", "<|im end|>"]
SAMPLE = """Once upon a time, there was a little girl named Lily. She'll say: "It's 3.14159, isn't it?"
<|endoftext|>
Es war einmal ein süßes Mädchen; DAS HATTE JEDER'S LIEB!   \u00a0\u3000
\u041a\u043e\u0448\u043a\u0430 \u0441\u0438\u0434\u0438\u0442. 天地玄黄，宇宙洪荒。 กาลครั้งหนึ่ง 👩\u200d👧 e\u0301 ½ ²
\tdef f(x):\r\n\t\treturn x**2  # 1234567890\n\n\n    """
TRICKY = "aAéßſ字กา’'sStT019²½ \t\n\r\x85\u00a0\u3000\u0301\u200d-_/.!😀"
DENSE = st.lists(st.sampled_from(["a", "B", "字", "'s", "'", "\u0301", " ", "\n", "\r", "12", ".", "/"])).map("".join)
TEXT = DENSE | st.text(st.sampled_from(TRICKY) | st.characters(exclude_categories=["Cs", "Cn"]))
WORDS = st.lists(st.sampled_from([*SAMPLE.split(" "), *SPECIALS, "<|endof", " ", "\n"])).map("".join)
ANY_TEXT = st.one_of(TEXT, WORDS)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tokenizer]:
    """A small tokenizer for each pattern, trained on the sample."""
    path = tmp_path_factory.mktemp("sample") / "sample.txt"
    path.write_text(SAMPLE * 3, encoding="utf-8")
    return {name: train_bpe(path, 450, SPECIALS, pattern=name) for name in PATTERNS}


def in_tiktoken(tokenizer: Tokenizer) -> tiktoken.Encoding:
    """The same vocabulary and pattern in tiktoken."""
    special = tokenizer.special_token_ids
    ranks = {token: id for id, token in tokenizer.vocab.items() if id not in special.values()}
    pattern = PATTERNS[tokenizer.pattern]
    return tiktoken.Encoding("ours", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_ids_are_tiktokens(pattern: str, trained: dict[str, Tokenizer]) -> None:
    """On the sample and on any text, with special tokens and without, the ids are those of tiktoken."""
    ours, theirs = trained[pattern], in_tiktoken(trained[pattern])

    @given(ANY_TEXT)
    def same(text: str) -> None:
        assert ours.encode_ordinary(text) == theirs.encode_ordinary(text)

    same()
    assert ours.encode_ordinary(SAMPLE) == theirs.encode_ordinary(SAMPLE)
    assert len(ours.encode_ordinary(SAMPLE)) < len(SAMPLE.encode()) / 2
    assert ours.encode(SAMPLE) == theirs.encode(SAMPLE, allowed_special="all")


@given(text=ANY_TEXT)
def test_decoding_undoes_encoding(text: str, trained: dict[str, Tokenizer]) -> None:
    """Any text comes back exactly, from `encode` and from `encode_ordinary`."""
    for tokenizer in trained.values():
        assert tokenizer.decode(tokenizer.encode(text)) == text
        assert tokenizer.decode(tokenizer.encode_ordinary(text)) == text


def test_special_tokens(trained: dict[str, Tokenizer]) -> None:
    """`encode` takes the longest special token; to `encode_ordinary` it is text."""
    tokenizer = trained["gpt2"]
    ids = tokenizer.special_token_ids
    text = "<|endoftext|>" * 3 + "<|im end|>"
    assert tokenizer.encode(text) == [ids[SPECIALS[1]], ids[SPECIALS[0]], ids[SPECIALS[2]]]
    assert not set(tokenizer.encode_ordinary(text)) & set(ids.values())


@given(text=ANY_TEXT, cuts=st.lists(st.integers(0, 500)))
def test_encode_iterable_is_encode_of_the_whole(text: str, cuts: list[int], trained: dict[str, Tokenizer]) -> None:
    """Pieces may cut words and special tokens; blocks here are of a few characters, so that they do too."""
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    pieces = [text[start:stop] for start, stop in pairwise(places)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tinylm.tokenizer.tokenizer.STREAM_CHARACTERS", 3)
        for tokenizer in trained.values():
            assert list(tokenizer.encode_iterable(pieces)) == tokenizer.encode(text)


def test_encode_iterable_takes_constant_memory(trained: dict[str, Tokenizer]) -> None:
    """Eight times the text takes no more memory."""
    tokenizer = trained["gpt2"]

    def peak_bytes(num_pieces: int) -> int:
        tracemalloc.start()
        for _ in tokenizer.encode_iterable(SAMPLE for _ in range(num_pieces)):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_bytes(100)  # fills the cache
    assert peak_bytes(1600) < 1.2 * peak_bytes(200)


def some_ids() -> st.SearchStrategy[list[int]]:
    """Ids of bytes, which need not make up characters, and of learned tokens."""
    return st.lists(st.one_of(st.integers(128, 255), st.integers(0, 449)))


@given(ids=some_ids())
def test_decode_stream_is_decode(ids: list[int], trained: dict[str, Tokenizer]) -> None:
    """The pieces of `decode_stream`, concatenated, are `decode`, for ids in any order."""
    tokenizer = trained["gpt2"]
    pieces = list(tokenizer.decode_stream(iter(ids)))
    assert "".join(pieces) == tokenizer.decode(ids) == tokenizer.decode_bytes(ids).decode(errors="replace")
    assert all(pieces)


def test_decode_stream_never_splits_a_character(trained: dict[str, Tokenizer]) -> None:
    """A character of four tokens is held back until it is complete; the end brings out what is left."""
    assert list(trained["gpt2"].decode_stream("a😀b".encode())) == ["a", "😀", "b"]
    assert list(trained["gpt2"].decode_stream("😀".encode()[:3])) == ["\ufffd"]


def test_decode_takes_arrays_and_refuses_unknown_ids(trained: dict[str, Tokenizer]) -> None:
    """numpy ids are ids; one that no token has is named, with the range."""
    tokenizer = trained["gpt2"]
    assert tokenizer.decode(np.array([104, 105], dtype=np.uint16)) == "hi"
    with pytest.raises(UsageError, match="no token has id 99999; ids go from 0 to 449"):
        tokenizer.decode([104, 99_999])


def byte_order_of_gpt2() -> dict[int, bytes]:
    """GPT-2's ids of single bytes: printable ones first."""
    in_order = sorted(range(256), key=lambda byte: (ord(TO_UNICODE[byte]) >= 256, byte))
    return {id: bytes([byte]) for id, byte in enumerate(in_order)}


def test_a_foreign_vocabulary_keeps_its_ids() -> None:
    """With GPT-2's byte order, gaps between ids and a special token in the middle, ids stay what they were."""
    vocab = byte_order_of_gpt2() | {300: b"hi", 256: b"<|endoftext|>", 50_000: b" hi"}
    tokenizer = Tokenizer(vocab, [(b"h", b"i"), (b" ", b"hi")], ["<|endoftext|>", "<|pad|>"])
    assert tokenizer.encode("!A hihi<|endoftext|><|pad|>") == [0, 32, 50_000, 300, 256, 50_001]
    assert tokenizer.vocab == vocab | {50_001: b"<|pad|>"}
    assert tokenizer.vocab_size == 50_002


def test_equal_tokenizers_have_equal_fingerprints(trained: dict[str, Tokenizer], tmp_path: Path) -> None:
    """The fingerprint depends on everything that decides about ids, and on nothing else."""
    tokenizer = trained["gpt2"]
    vocab, merges = tokenizer.vocab, tokenizer.merges
    same = Tokenizer(dict(reversed(vocab.items())), merges, list(reversed(SPECIALS)))
    others: Iterable[Tokenizer] = (
        Tokenizer(vocab, merges, SPECIALS, pattern="cl100k"),
        Tokenizer(vocab, merges, SPECIALS[:2]),
        Tokenizer(vocab, merges[:-1], SPECIALS),
        Tokenizer(vocab | {0: vocab[1], 1: vocab[0]}, merges, SPECIALS),
    )
    assert same.fingerprint == tokenizer.fingerprint
    assert len({tokenizer.fingerprint, *(other.fingerprint for other in others)}) == 5


def test_a_copy_in_another_process_is_equal(trained: dict[str, Tokenizer]) -> None:
    """What is sent to a worker encodes alike."""
    tokenizer = trained["o200k"]
    copy = pickle.loads(pickle.dumps(tokenizer))
    assert copy.fingerprint == tokenizer.fingerprint
    assert copy.encode(SAMPLE) == tokenizer.encode(SAMPLE)
    assert repr(copy) == f"<Tokenizer of 450 tokens, {tokenizer.fingerprint[:12]}>"
