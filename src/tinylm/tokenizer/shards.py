"""The inputs divided among machines, so that what they make, one after the other, is what one machine makes."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Self

import regex

from tinylm.errors import TinylmError, UsageError
from tinylm.tokenizer.pretokenize import PATTERNS
from tinylm.tokenizer.sources import Source, whole
from tinylm.tokenizer.text_stream import BEFORE_SAFE_CUT

WINDOW_BYTES = 1 << 16


@dataclass(frozen=True)
class Shard:
    """Parts `first` to `last` of `count` equal ones, the first of all being 1."""

    first: int
    last: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """`"2/16"` or `"1-15/16"`. Raises: UsageError for anything else."""
        match = regex.fullmatch(r"(\d+)(?:-(\d+))?/(\d+)", text)
        if match:
            shard = cls(int(match[1]), int(match[2] or match[1]), int(match[3]))
            if 1 <= shard.first <= shard.last <= shard.count:
                return shard
        raise UsageError(f"--shard {text}: must be I/N or I-J/N with 1 <= I <= J <= N, as in 2/16 or 1-15/16")

    def __str__(self) -> str:
        return f"{self.first}/{self.count}" if self.first == self.last else f"{self.first}-{self.last}/{self.count}"


def shard_sources(
    paths: Sequence[str | Path], shard: Shard, special_tokens: Sequence[str], pattern: str
) -> list[Source]:
    """The part of the inputs that is a shard: about so many `count`-ths of the bytes, from one safe cut to another.

    Raises: UsageError for inputs whose size is not known; TinylmError when there is nothing left for this shard.
    """
    sizes = []
    for source in whole(paths):
        if source.size_bytes is None:
            raise UsageError(f"--shard takes files that are not compressed; {source} cannot be read from the middle")
        sizes.append(source.size_bytes)
    specials = [token.encode() for token in special_tokens]
    ends = list(accumulate(sizes))

    def cut(index: int) -> tuple[int, int]:
        """Where part `index` ends, as the number of a file and an offset in it."""
        wanted = ends[-1] * index // shard.count
        file = min(bisect_right(ends, wanted), len(ends) - 1)
        offset = wanted - (ends[file] - sizes[file])
        return file, first_safe_cut(paths[file], offset, sizes[file], specials, inside_documents=pattern in PATTERNS)

    (first, start), (last, stop) = cut(shard.first - 1), cut(shard.last)
    sources = [
        Source(paths[file], start if file == first else 0, stop if file == last else sizes[file])
        for file in range(first, last + 1)
    ]
    sources = [source for source in sources if source.size_bytes]
    if not sources:
        raise TinylmError(f"--shard {shard}: there is nothing left for it; use fewer shards")
    return sources


def first_safe_cut(
    path: str | Path, offset: int, size: int, specials: Sequence[bytes], *, inside_documents: bool
) -> int:
    """The first place from `offset` on where a file of `size` bytes can be cut; see `last_safe_cut`."""
    if offset == 0:
        return 0
    margin = max(map(len, specials), default=0) + len("\U0010ffff".encode())
    start, window = max(0, offset - margin), WINDOW_BYTES
    with Path(path).open("rb") as stream:
        while True:
            stream.seek(start)
            data = stream.read(window)
            in_sight = len(data) if start + len(data) >= size else len(data) - margin
            cuts = cuts_in_text(data) if inside_documents else cuts_after(data, specials)
            for cut in cuts:
                if offset - start <= cut <= in_sight and not is_spanned(data, cut, specials):
                    return start + cut
            if in_sight == len(data):
                return size
            window *= 2


def cuts_in_text(data: bytes) -> Iterator[int]:
    """Places where every published pattern ends a pre-token. Bytes that are not UTF-8 count as punctuation."""
    text = data.decode(errors="surrogateescape")
    at = cut = 0
    for match in BEFORE_SAFE_CUT.finditer(text):
        cut += len(text[at : match.end()].encode(errors="surrogateescape"))
        at = match.end()
        yield cut


def cuts_after(data: bytes, specials: Sequence[bytes]) -> list[int]:
    """Places where a special token ends."""
    return sorted(match.end() for special in specials for match in regex.finditer(regex.escape(special), data))


def is_spanned(data: bytes, cut: int, specials: Sequence[bytes]) -> bool:
    """Whether a special token begins before the cut and ends after it."""
    return any(special in data[max(0, cut - len(special) + 1) : cut + len(special) - 1] for special in specials)
