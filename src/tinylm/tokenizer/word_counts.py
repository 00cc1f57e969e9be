"""Distinct pre-tokens and how often each occurs, in memory and on disk."""

import json
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinylm.errors import TinylmError, UsageError
from tinylm.files import atomic_file, existing_file

SCHEMA = 1


class WordCounts(NamedTuple):
    """Word i is `data[offsets[i]:offsets[i + 1]]` and occurs `counts[i]` times."""

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, counts: Mapping[bytes, int]) -> "WordCounts":
        """The words of a dict, in its order."""
        data = np.frombuffer(bytearray(b"".join(counts)), np.uint8)
        offsets = np.cumsum([0, *map(len, counts)], dtype=np.int64)
        return cls(data, offsets, np.array(list(counts.values()), np.int64))

    @property
    def text_bytes(self) -> int:
        """Bytes of the text that was counted, special tokens aside."""
        return int(np.dot(np.diff(self.offsets), self.counts))

    def as_dict(self) -> dict[bytes, int]:
        """Word -> count."""
        data = self.data.tobytes()
        words = (data[begin:end] for begin, end in pairwise(self.offsets.tolist()))
        return dict(zip(words, self.counts.tolist(), strict=True))


@dataclass(frozen=True)
class CountSettings:
    """What counts must agree in to be added up."""

    pattern: str
    special_tokens: tuple[str, ...]


class CountFile(NamedTuple):
    """Counts, how much text they are from, and how it was split."""

    words: WordCounts
    input_bytes: int
    settings: CountSettings


def write_counts(path: str | Path, file: CountFile) -> None:
    """Write an `.npz`: the same counts make the same bytes, in whatever order and wherever they came about."""
    words = WordCounts.of(dict(sorted(file.words.as_dict().items())))
    description = {"schema": SCHEMA, "input_bytes": file.input_bytes, **asdict(file.settings)}
    with atomic_file(path) as stream:
        np.savez(stream, description=np.frombuffer(json.dumps(description).encode(), np.uint8), **words._asdict())


def read_counts(path: str | Path) -> CountFile:
    """Raises: TinylmError when it is not a file that `write_counts` has written."""
    try:
        with np.load(existing_file(path), allow_pickle=False) as arrays:
            description = json.loads(arrays["description"].tobytes())
            words = WordCounts(arrays["data"], arrays["offsets"], arrays["counts"])
    except (ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise TinylmError(
            f"{path}: not a file of counts, or damaged; `tinylm train-bpe --counts-out` makes them"
        ) from error
    settings = CountSettings(description["pattern"], tuple(description["special_tokens"]))
    return CountFile(words, description["input_bytes"], settings)


def add_counts(paths: Sequence[str | Path]) -> CountFile:
    """The counts of several files together. Raises: UsageError when they were not made in the same way."""
    first = read_counts(paths[0])
    total, input_bytes = Counter(first.words.as_dict()), first.input_bytes
    for path in paths[1:]:
        words, more_bytes, settings = read_counts(path)
        if settings != first.settings:
            raise UsageError(f"{path}: counted with another pattern or other special tokens than {paths[0]}")
        total.update(words.as_dict())
        input_bytes += more_bytes
    return CountFile(WordCounts.of(total), input_bytes, first.settings)
