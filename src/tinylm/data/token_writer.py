"""Writing a token file block by block, in constant memory; it appears whole, with its description, or not at all."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from tinylm.data.token_file import Format, TokenFileInfo, info_path, offsets_path, token_dtype
from tinylm.files import atomic_file, json_text, sha256


class TokenWriter:
    """Takes blocks of ids; made by `write_tokens`."""

    def __init__(self, tokens: "ArrayStream", offsets: "ArrayStream") -> None:
        self._tokens = tokens
        self._offsets = offsets
        self.input_bytes = 0
        """Bytes of text that the tokens stand for; the caller keeps it up to date."""

    @property
    def num_tokens(self) -> int:
        """Tokens written so far."""
        return self._tokens.length

    @property
    def num_documents(self) -> int:
        """Documents begun so far."""
        return self._offsets.length

    def append(self, ids: npt.NDArray[Any], document_starts: npt.NDArray[Any]) -> None:
        """Write ids; `document_starts` are positions in this block where a document begins."""
        self._offsets.append(document_starts + self._tokens.length)
        self._tokens.append(ids)


@contextlib.contextmanager
def write_tokens(path: Path, *, vocab_size: int, tokenizer: str, file_format: Format = "npy") -> Iterator[TokenWriter]:
    """Write the token file at `path`, its document offsets and its description, when the block ends without an error.

    Raises: OSError when the disk is full; nothing is left then.
    """
    try:
        with (
            atomic_file(path) as tokens_file,  # entered first, so it is renamed last: where it is, the others are
            atomic_file(offsets_path(path)) as offsets_file,
            atomic_file(info_path(path)) as info_file,
        ):
            tokens = ArrayStream(tokens_file, token_dtype(vocab_size), header=file_format == "npy")
            offsets = ArrayStream(offsets_file, np.dtype("<u8"))
            writer = TokenWriter(tokens, offsets)
            yield writer
            tokens.finish()
            offsets.finish()
            info = TokenFileInfo(
                tokenizer=tokenizer,
                vocab_size=vocab_size,
                num_tokens=writer.num_tokens,
                num_documents=writer.num_documents,
                input_bytes=writer.input_bytes,
                dtype=tokens.dtype.name,
                document_offsets=offsets_path(path).name,
                sha256=sha256(tokens_file.name),
            )
            info_file.write(json_text(info.as_json(), indent=2).encode() + b"\n")
    except OSError as error:
        if error.errno == errno.ENOSPC:  # a failed write does not know its file's name
            error.filename = str(path)
        raise


class ArrayStream:
    """A one-dimensional array written to a file as it comes; its `.npy` header, which has the length, comes last."""

    def __init__(self, stream: BinaryIO, dtype: np.dtype[Any], *, header: bool = True) -> None:
        self.dtype = dtype
        self.length = 0
        self._stream = stream
        self._header = header
        self._write_header()

    def append(self, values: npt.NDArray[Any]) -> None:
        """Write integers. Raises: OverflowError rather than wrapping one that the type cannot hold."""
        if len(values) and not 0 <= values.min() <= values.max() <= np.iinfo(self.dtype).max:
            raise OverflowError(f"{self.dtype.name} cannot hold all of {values.min()} to {values.max()}")
        self._stream.write(values.astype(self.dtype).tobytes())
        self.length += len(values)

    def finish(self) -> None:
        """Bring the header up to date."""
        self._stream.seek(0)
        self._write_header()
        self._stream.flush()

    def _write_header(self) -> None:
        if self._header:  # numpy leaves room, so that a longer length makes no longer header
            fields = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.length,)}
            np.lib.format.write_array_header_1_0(self._stream, fields)
