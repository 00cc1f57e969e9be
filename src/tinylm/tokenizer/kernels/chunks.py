"""A stream of bytes as chunks whose pre-tokens do not depend on what surrounds them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Self

import numpy as np
import numpy.typing as npt

from tinylm.tokenizer.kernels.cuts import NO_CUT, Specials, find_specials, last_cut
from tinylm.tokenizer.kernels.intrinsics import PADDING
from tinylm.tokenizer.kernels.unicode_classes import class_table


@dataclass(frozen=True)
class Chunk:
    """Part of a text."""

    text: npt.NDArray[np.uint8]
    """Its bytes, and PADDING more."""
    size: int
    position: int
    """Bytes of the text before it."""

    @classmethod
    def of(cls, data: bytes, position: int = 0) -> Self:
        """A chunk of these bytes."""
        text = np.zeros(len(data) + PADDING, np.uint8)
        text[: len(data)] = np.frombuffer(data, np.uint8)
        return cls(text, len(data), position)

    def tobytes(self) -> bytes:
        """Its bytes."""
        return self.text[: self.size].tobytes()


class InvalidTextError(ValueError):
    """A chunk is not UTF-8."""


def read_chunks(stream: BinaryIO, specials: Specials, size: int) -> Iterator[Chunk]:
    """Cut a stream into chunks of up to `size` bytes; larger ones where there is nowhere to cut."""
    text = np.empty(size + PADDING, np.uint8)
    filled = position = 0
    while True:
        num_read = stream.readinto(text.data[filled:-PADDING])  # type: ignore[attr-defined]  # BinaryIO is too narrow
        filled += num_read
        if num_read and filled + PADDING < text.size:
            continue
        cut = last_cut(text, filled, specials, class_table()) if num_read else filled
        if cut == NO_CUT:
            text = resized(text, filled, 2 * filled)
            continue
        if cut:
            yield Chunk(text, cut, position)
        if not num_read:
            return
        text = resized(text[cut:], filled - cut, max(size, 2 * (filled - cut)))
        filled -= cut
        position += cut


def resized(text: npt.NDArray[np.uint8], filled: int, size: int) -> npt.NDArray[np.uint8]:
    """A new buffer for `size` bytes and PADDING that begins with `filled` bytes of the old one."""
    larger = np.empty(size + PADDING, np.uint8)
    larger[:filled] = text[:filled]
    return larger


def specials_in(chunk: Chunk, specials: Specials) -> npt.NDArray[np.int64]:
    """(first byte, byte after it, id) of each special token in a chunk, `(number, 3)`."""
    found = np.empty((chunk.size // 256, 3), np.int64)
    count = find_specials(chunk.text, chunk.size, specials, found)
    if count > len(found):
        found = np.empty((count, 3), np.int64)
        find_specials(chunk.text, chunk.size, specials, found)
    return found[:count]
