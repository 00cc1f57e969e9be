"""BPE training, from text files to a tokenizer, in two stages: count the pre-tokens, merge the distinct ones."""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tinylm.errors import UsageError
from tinylm.tokenizer.byte_unicode import FROM_UNICODE
from tinylm.tokenizer.count import count_pretokens
from tinylm.tokenizer.kernel_choice import pays, prepare_kernels
from tinylm.tokenizer.merge import NUM_BYTES, merge_words
from tinylm.tokenizer.sources import Source, total_size_bytes, whole
from tinylm.tokenizer.text_stream import Invalid
from tinylm.tokenizer.tokenizer import Tokenizer
from tinylm.tokenizer.word_counts import CountSettings, WordCounts

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class TrainingProgress:
    """How far training is: bytes read while counting, merges found while merging."""

    stage: Literal["compiling", "counting", "merging"]
    completed: int = 0
    total: int | None = None


OnProgress = Callable[[TrainingProgress], None]


def silent(_progress: TrainingProgress) -> None:
    """An `OnProgress` that does nothing."""


def train_bpe(
    input_path: PathLike | Sequence[PathLike],
    vocab_size: int,
    special_tokens: Sequence[str] = (),
    *,
    pattern: str = "gpt2",
    num_threads: int | None = None,
    invalid: Invalid = "error",
    on_progress: OnProgress = silent,
) -> Tokenizer:
    """Learn a byte-level BPE vocabulary of `vocab_size` tokens: 256 bytes, merges as learned, special tokens last.

    The tokenizer is smaller when the text runs out of pairs to merge. The result does not depend on `num_threads`.

    Raises: UsageError when `vocab_size` cannot hold the bytes and the special tokens; TinylmError for an input that is
        missing, empty or not UTF-8.
    """
    paths = [input_path] if isinstance(input_path, str | os.PathLike) else input_path
    settings = CountSettings(pattern, tuple(dict.fromkeys(special_tokens)))
    merges_wanted(vocab_size, settings.special_tokens)
    sources = whole([os.fspath(path) for path in paths])
    words = count_words(sources, settings, num_threads=num_threads, invalid=invalid, on_progress=on_progress)
    return train_on_words(words, vocab_size, settings, on_progress=on_progress)


def count_words(
    sources: Sequence[Source],
    settings: CountSettings,
    *,
    num_threads: int | None = None,
    invalid: Invalid = "error",
    on_progress: OnProgress = silent,
) -> WordCounts:
    """The first stage of training; the counts of several sets of sources can be added up."""
    total_bytes = total_size_bytes(sources)
    return count_pretokens(
        sources,
        settings,
        invalid=invalid,
        num_threads=num_threads,
        on_bytes=lambda count: on_progress(TrainingProgress("counting", count, total_bytes)),
        on_compile=lambda: on_progress(TrainingProgress("compiling")),
    )


def train_on_words(
    words: WordCounts, vocab_size: int, settings: CountSettings, *, on_progress: OnProgress = silent
) -> Tokenizer:
    """The second stage of training."""
    num_merges = merges_wanted(vocab_size, settings.special_tokens)
    learn = learn_in_kernels if pays(words.text_bytes, "train") else learn_in_python
    merges: list[tuple[bytes, bytes]] = []
    for merge in learn(words, num_merges, on_progress):
        merges.append(merge)
        on_progress(TrainingProgress("merging", len(merges), num_merges))
    return Tokenizer(initial_vocab(merges), merges, settings.special_tokens, pattern=settings.pattern)


def learn_in_python(words: WordCounts, num_merges: int, _on_progress: OnProgress) -> Iterator[tuple[bytes, bytes]]:
    """The merges of a small text."""
    return merge_words(words.as_dict(), num_merges)


def learn_in_kernels(words: WordCounts, num_merges: int, on_progress: OnProgress) -> Iterator[tuple[bytes, bytes]]:
    """The same for a large one."""
    prepare_kernels("train", lambda: on_progress(TrainingProgress("compiling")))
    from tinylm.tokenizer.kernels.merges import learn_merges

    tokens = [bytes([byte]) for byte in range(NUM_BYTES)]
    for merges in learn_merges(words, num_merges):
        for left, right in merges.tolist():
            yield tokens[left], tokens[right]
            tokens.append(tokens[left] + tokens[right])


def merges_wanted(vocab_size: int, special_tokens: Collection[str]) -> int:
    """Merges that fill a vocabulary; a special token that is a single byte takes no place of its own.

    Raises: UsageError when there is no room for bytes and special tokens, or one of these cannot be saved.
    """
    for token in special_tokens:
        if token in FROM_UNICODE and len(token.encode()) > 1:
            raise UsageError(
                f"special token {token!r}: in a tokenizer's files it would be written like the byte "
                f"0x{FROM_UNICODE[token]:02x}; choose another"
            )
    num_added = len({token for token in special_tokens if len(token.encode()) > 1})
    smallest = NUM_BYTES + num_added
    if vocab_size < smallest:
        raise UsageError(
            f"vocab_size {vocab_size} is too small: it takes {smallest}, "
            f"{NUM_BYTES} for the bytes and {num_added} for special tokens"
        )
    return vocab_size - smallest


def initial_vocab(merges: Sequence[tuple[bytes, bytes]]) -> dict[int, bytes]:
    """Ids of a tokenizer without special tokens: the bytes, then what each merge makes."""
    tokens = [bytes([byte]) for byte in range(NUM_BYTES)] + [left + right for left, right in merges]
    return dict(enumerate(tokens))
