"""The same bytes for any number of threads and shards."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from benchmarks.tokenizer_limits.common import SPECIAL, Row, Settings, encode, outcome, run, show, train


def same_bytes(settings: Settings) -> bool:
    """Threads and shards change nothing."""
    rows = (row for text in settings.texts for row in divisions_of(text, settings.scratch))
    return show("The same bytes whatever the division", ["text", "asked", "sha256"], rows)


def divisions_of(text: Path, scratch: Path) -> Iterator[Row]:
    """A line for each way to divide the work on a text."""
    tokenizer = scratch / "tokenizer"
    ways: list[tuple[str, Callable[[], str]]] = [
        *((f"train-bpe, {n} threads", partial(vocabulary_by_threads, text, tokenizer, n)) for n in (1, 2, 7)),
        *((f"train-bpe, {n} shards", partial(vocabulary_by_shards, text, tokenizer, n)) for n in (1, 3, 16)),
        *((f"encode, {n} threads", partial(ids_by_threads, text, tokenizer, n)) for n in (1, 2, 7)),
        *((f"encode, {n} shards", partial(ids_by_shards, text, tokenizer, n)) for n in (1, 3, 16)),
    ]
    first: dict[str, str] = {}
    for asked, way in ways:
        digest = way()
        expected = first.setdefault(asked.split(",")[0], digest)
        yield [text.name, asked, digest[:32], outcome(digest == expected)]


def vocabulary_by_threads(text: Path, out: Path, threads: int) -> str:
    """Train in one process."""
    train(out, text, "--threads", threads)
    return hash_of_vocabulary(out)


def vocabulary_by_shards(text: Path, out: Path, shards: int) -> str:
    """Count shard by shard, and learn from the counts."""
    counts: list[Path] = []
    for i in range(1, shards + 1):
        counts.append(out.with_name(f"counts-{i}.npz"))
        shard = ("--shard", f"{i}/{shards}", "--counts-out", counts[-1])
        run("train-bpe", text, "--special-token", SPECIAL, *shard, "--force")
    train(out, *(argument for path in counts for argument in ("--from-counts", path)))
    return hash_of_vocabulary(out)


def hash_of_vocabulary(directory: Path) -> str:
    """Of `merges.txt` and `vocab.json`."""
    return hashlib.sha256(
        b"".join((directory / name).read_bytes() for name in ("merges.txt", "vocab.json"))
    ).hexdigest()


def ids_by_threads(text: Path, tokenizer: Path, threads: int) -> str:
    """Encode in one process."""
    out = tokenizer.with_name("tokens.npy")
    encode(text, tokenizer, out, "--threads", threads)
    return hash_of_arrays([out])


def ids_by_shards(text: Path, tokenizer: Path, shards: int) -> str:
    """Encode shard by shard."""
    outs = [tokenizer.with_name(f"tokens-{i}.npy") for i in range(1, shards + 1)]
    for i, out in enumerate(outs, start=1):
        encode(text, tokenizer, out, "--shard", f"{i}/{shards}")
    return hash_of_arrays(outs)


def hash_of_arrays(paths: Sequence[Path]) -> str:
    """Of arrays, joined."""
    hashed = hashlib.sha256()
    for path in paths:
        hashed.update(np.load(path, mmap_mode="r").data)
    return hashed.hexdigest()
