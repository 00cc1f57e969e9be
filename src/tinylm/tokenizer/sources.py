"""What is read: whole inputs, or ranges of their bytes."""

import contextlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from tinylm.files import STDIO, compression, open_input


@dataclass(frozen=True)
class Source:
    """An input, or a range of the bytes of a file that is not compressed; the path `-` is standard input."""

    path: str | Path
    start: int = 0
    stop: int | None = None

    def __str__(self) -> str:
        return "standard input" if str(self.path) == STDIO else str(self.path)

    @property
    def size_bytes(self) -> int | None:
        """Bytes of text in it, or None when that is not known beforehand: pipes, compressed files."""
        if str(self.path) == STDIO or not Path(self.path).is_file():
            return None
        with Path(self.path).open("rb") as raw:
            if compression(raw):
                return None
        return (Path(self.path).stat().st_size if self.stop is None else self.stop) - self.start

    @contextlib.contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Its bytes, as `open_input` gives them."""
        with open_input(self.path) as stream:
            if self.start:
                stream.seek(self.start)
            yield stream if self.stop is None else limited(stream, self.stop - self.start)

    def follows_one_of(self, tokens: Iterable[bytes]) -> bool:
        """Whether one of the tokens stands in the file right before this range."""
        with Path(self.path).open("rb") as stream:
            return any(self._before(stream, len(token)) == token for token in tokens)

    def _before(self, stream: BinaryIO, size: int) -> bytes:
        stream.seek(max(0, self.start - size))
        return stream.read(self.start - stream.tell())


def whole(paths: Iterable[str | Path]) -> list[Source]:
    """Each input as a whole."""
    return [Source(path) for path in paths]


def total_size_bytes(sources: Iterable[Source]) -> int | None:
    """Bytes of text in all sources, or None when one of them is unknown."""
    sizes = [source.size_bytes for source in sources]
    return sum(size for size in sizes if size is not None) if None not in sizes else None


def limited(stream: BinaryIO, size: int) -> BinaryIO:
    """The next `size` bytes of a stream."""
    return cast(BinaryIO, io.BufferedReader(_Limited(stream, size)))


class _Limited(io.RawIOBase):
    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)
