"""Which inputs go through the compiled kernels: those for which it pays."""

import io
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from tinylm.files import STDIO
from tinylm.tokenizer.sources import Source, total_size_bytes

if TYPE_CHECKING:
    from tinylm.tokenizer.kernels.compilation import Part

PATTERN = "gpt2"
"""The pattern that the kernels know; others take `regex`, at a hundredth of the speed."""

SMALLEST_BYTES = 1 << 20
"""Less text than this is done sooner than the kernels are loaded, let alone compiled."""


def suits_kernels(sources: Sequence[Source], pattern: str) -> bool:
    """Whether to use them."""
    if pattern != PATTERN:
        return False
    if any(str(source.path) == STDIO for source in sources):
        return standard_input_exceeds(SMALLEST_BYTES)
    size = total_size_bytes(sources)
    return size is None or size >= SMALLEST_BYTES


def prepare_kernels(part: "Part", on_compile: Callable[[], None]) -> None:
    """Compile a part of the kernels, after calling `on_compile`, unless that has been done on this machine."""
    from tinylm.tokenizer.kernels import compilation

    if not compilation.is_compiled(part):
        on_compile()
        compilation.compile_part(part)


def standard_input_exceeds(size: int) -> bool:
    """Whether standard input holds more than `size` bytes. What has been looked at is still there to be read."""
    head = sys.stdin.buffer.read(size + 1)
    sys.stdin = io.TextIOWrapper(io.BufferedReader(_Rejoined(head, sys.stdin)))
    return len(head) > size


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
