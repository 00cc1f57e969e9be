"""What a token file stands for, whatever tokenizer made it."""

import hashlib

import numpy as np
import pytest

from tinylm.experiments.leaderboard import facts
from tinylm.tokenizer import Tokenizer

BYTES = {byte: bytes([byte]) for byte in range(256)}
TEXT = "Once upon a time <|endoftext|> naïve 🎈 " * 50


def tokenizers() -> list[Tokenizer]:
    """Of bytes only, with a merge, and with other ids for everything and a special token."""
    merged = Tokenizer({**BYTES, 256: b"on"}, [(b"o", b"n")])
    reversed_ids = {257 - id: token for id, token in BYTES.items()} | {0: b"ti", 1: b"<|endoftext|>"}
    return [Tokenizer(BYTES, []), merged, Tokenizer(reversed_ids, [(b"t", b"i")], ["<|endoftext|>"])]


@pytest.mark.parametrize("chunk", [1 << 20, 7])
def test_text_hash_does_not_depend_on_the_tokenizer(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three tokenizers make different tokens of a text, and all of them lead back to the hash of its bytes."""
    monkeypatch.setattr(facts, "CHUNK_TOKENS", chunk)
    found = [facts.text_facts(np.array(maker.encode(TEXT), dtype=np.uint16), maker) for maker in tokenizers()]
    raw = TEXT.encode()
    assert {(text.sha256, text.num_bytes) for text in found} == {(hashlib.sha256(raw).hexdigest(), len(raw))}
    assert len({text.num_tokens for text in found}) == 3
