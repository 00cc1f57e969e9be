"""The `tokenizer.json` of Hugging Face's `tokenizers`: the same ids in their libraries."""

from collections.abc import Mapping, Sequence
from typing import Any

from tinylm.tokenizer.pretokenize import PATTERNS


def tokenizer_json(
    ids: Mapping[str, int], merges: Sequence[tuple[str, str]], special_tokens: Sequence[str], pattern: str
) -> dict[str, Any]:
    """`ids` and `merges` in byte-to-unicode form, special tokens as they are."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added_token(token, ids[token]) for token in sorted(special_tokens, key=ids.__getitem__)],
        "normalizer": None,
        "pre_tokenizer": pre_tokenizer(pattern),
        "post_processor": None,
        "decoder": byte_level(use_regex=False),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": dict(ids),
            "merges": [list(pair) for pair in merges],
        },
    }


def added_token(token: str, id: int) -> dict[str, Any]:
    """A special token, recognised wherever it stands."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": id, "content": token, **flags}


def pre_tokenizer(pattern: str) -> dict[str, Any]:
    """GPT-2's pattern is built into `tokenizers`; any other is handed to its regular expression engine, Oniguruma."""
    if pattern == "gpt2":
        return byte_level(use_regex=True)
    split = {"Regex": PATTERNS.get(pattern, pattern)}
    return {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Split", "pattern": split, "behavior": "Isolated", "invert": False},
            byte_level(use_regex=False),
        ],
    }


def byte_level(*, use_regex: bool) -> dict[str, Any]:
    """Bytes to visible characters, and back when used as the decoder."""
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": use_regex}
