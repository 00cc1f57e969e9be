"""Which inputs go through the compiled kernels: those for which it pays."""

import io
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from tinylm.files import STDIO, existing_file
from tinylm.tokenizer.sources import Source

if TYPE_CHECKING:
    from tinylm.tokenizer.kernels.compilation import Part

PATTERN = "gpt2"
"""The pattern that the kernels know; others take `regex`, at a hundredth of the speed."""

LARGEST_VOCAB_SIZE = (1 << 21) - 1
"""Two ids and a rank of 21 bits share a word of the kernels' merge table."""

SMALLEST_BYTES = 1 << 20
"""Less text than this is done sooner than the kernels are loaded."""

WORTH_COMPILING_BYTES = 1 << 23
"""Less text than this is done sooner than the kernels are compiled, which takes half a minute once."""

COMPRESSION_RATIO = 4
"""About how many bytes of text there are to a byte of a compressed file."""


def suits_kernels(sources: Sequence[Source], pattern: str, part: "Part") -> bool:
    """Whether to use them."""
    if pattern != PATTERN:
        return False
    named = [source for source in sources if str(source.path) != STDIO]
    size = sum(map(likely_size_bytes, named))
    if len(named) < len(sources) and size < WORTH_COMPILING_BYTES:
        size += standard_input_size(WORTH_COMPILING_BYTES)
    return pays(size, part)


def likely_size_bytes(source: Source) -> int:
    """Bytes of text in a file; of a pipe, whose size nobody knows, enough for kernels, and too few to compile them for.

    Raises: TinylmError when there is no such file.
    """
    size, path = source.size_bytes, existing_file(source.path)
    if size is not None:
        return size
    return path.stat().st_size * COMPRESSION_RATIO if path.is_file() else SMALLEST_BYTES


def pays(size: int, part: "Part") -> bool:
    """Whether so many bytes are done sooner by the kernels, their compilation counted if it is still to come."""
    if not SMALLEST_BYTES <= size < WORTH_COMPILING_BYTES:
        return size >= SMALLEST_BYTES
    from tinylm.tokenizer.kernels import compilation

    return compilation.is_compiled(part)


def prepare_kernels(part: "Part", on_compile: Callable[[], None]) -> None:
    """Compile a part of the kernels, after calling `on_compile`, unless that has been done on this machine."""
    from tinylm.tokenizer.kernels import compilation

    if not compilation.is_compiled(part):
        on_compile()
        compilation.compile_part(part)


def standard_input_size(limit: int) -> int:
    """Bytes on standard input, at most `limit`. What has been looked at is still there to be read."""
    head = sys.stdin.buffer.read(limit)
    sys.stdin = io.TextIOWrapper(io.BufferedReader(_Rejoined(head, sys.stdin)))
    return len(head)


class _Rejoined(io.RawIOBase):
    """A head that has been read, and the stream that it was read from."""

    def __init__(self, head: bytes, rest: TextIO) -> None:
        self._head = memoryview(head)
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._head:
            return int(self._rest.buffer.readinto(buffer))  # type: ignore[attr-defined]  # BinaryIO is too narrow
        data, self._head = self._head[: len(buffer)], self._head[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)
