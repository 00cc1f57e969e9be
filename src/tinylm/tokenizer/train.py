"""BPE training, from text files to a tokenizer, in two stages: count the pre-tokens, merge the distinct ones."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tinylm.errors import UsageError
from tinylm.tokenizer.count import count_pretokens
from tinylm.tokenizer.merge import NUM_BYTES, merge_words
from tinylm.tokenizer.text_stream import Invalid, text_size_bytes
from tinylm.tokenizer.tokenizer import Tokenizer

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class TrainingProgress:
    """How far `train_bpe` is: bytes read while counting, merges found while merging."""

    stage: Literal["counting", "merging"]
    completed: int
    total: int | None


def train_bpe(
    input_path: PathLike | Sequence[PathLike],
    vocab_size: int,
    special_tokens: Sequence[str] = (),
    *,
    pattern: str = "gpt2",
    num_threads: int | None = None,
    invalid: Invalid = "error",
    on_progress: Callable[[TrainingProgress], None] = lambda _progress: None,
) -> Tokenizer:
    """Learn a byte-level BPE vocabulary of `vocab_size` tokens: 256 bytes, merges as learned, special tokens last.

    The tokenizer is smaller when the text runs out of pairs to merge. The result does not depend on `num_threads`.

    Raises: UsageError when `vocab_size` cannot hold the bytes and the special tokens; TinylmError for an input that is
        missing, empty or not UTF-8.
    """
    paths = [Path(path) for path in ([input_path] if isinstance(input_path, str | os.PathLike) else input_path)]
    special_tokens = list(dict.fromkeys(special_tokens))
    num_merges = merges_wanted(vocab_size, len(special_tokens))
    total_bytes = text_size_bytes(paths)
    counts = count_pretokens(
        paths,
        special_tokens,
        pattern,
        invalid=invalid,
        num_workers=num_threads,
        on_bytes=lambda count: on_progress(TrainingProgress("counting", count, total_bytes)),
    )
    merges = []
    for merge in merge_words(counts, num_merges):
        merges.append(merge)
        on_progress(TrainingProgress("merging", len(merges), num_merges))
    return Tokenizer(initial_vocab(merges), merges, special_tokens, pattern=pattern)


def merges_wanted(vocab_size: int, num_special_tokens: int) -> int:
    """Merges that fill a vocabulary. Raises: UsageError when there is no room for bytes and special tokens."""
    smallest = NUM_BYTES + num_special_tokens
    if vocab_size < smallest:
        raise UsageError(
            f"vocab_size {vocab_size} is too small: it takes {smallest}, "
            f"{NUM_BYTES} for the bytes and {num_special_tokens} for special tokens"
        )
    return vocab_size - smallest


def initial_vocab(merges: Sequence[tuple[bytes, bytes]]) -> dict[int, bytes]:
    """Ids of a tokenizer without special tokens: the bytes, then what each merge makes."""
    tokens = [bytes([byte]) for byte in range(NUM_BYTES)] + [left + right for left, right in merges]
    return dict(enumerate(tokens))
