"""Token files: a flat array of ids, memory-mapped, with a description beside it.

name.npy            uint16 where the vocabulary fits, else uint32; or name.bin, nanoGPT's form: no header
name.json           what it was made from; see `TokenFileInfo`
name.offsets.npy    uint64: where in the array each document begins
"""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from tinylm.errors import TinylmError, UsageError
from tinylm.files import existing_file, read_json

SCHEMA = 1
NPY_MAGIC = b"\x93NUMPY"

Tokens = npt.NDArray[Any]
Format = Literal["npy", "bin"]


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """The smallest type that holds every id of a vocabulary, little-endian."""
    return np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4")


def info_path(path: Path) -> Path:
    """The description of a token file."""
    return path.with_suffix(".json")


def offsets_path(path: Path) -> Path:
    """The document offsets of a token file."""
    return path.with_suffix(".offsets.npy")


@dataclass(frozen=True, kw_only=True)
class TokenFileInfo:
    """What `name.json` says about a token file."""

    tokenizer: str
    """Fingerprint of the tokenizer that made it."""
    vocab_size: int
    num_tokens: int
    num_documents: int
    input_bytes: int
    dtype: str
    document_offsets: str
    """Name of the file, in the same directory, that says where each document begins."""
    sha256: str
    """Of the token file."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises: TinylmError when the file is not the description of a token file."""
        values = read_json(path)
        names = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or not names <= values.keys():
            raise TinylmError(f"{path}: does not describe a token file; move it away, or encode the text again")
        if values.get("schema") != SCHEMA:
            raise TinylmError(f"{path}: written by another version of tinylm; encode the text again")
        return cls(**{name: values[name] for name in names})

    def as_json(self) -> dict[str, Any]:
        """What `read` reads."""
        return {"schema": SCHEMA, **asdict(self)}


@dataclass(frozen=True)
class TokenFile:
    """A token file opened for reading."""

    path: Path
    tokens: Tokens
    """`(num_tokens,)`, a read-only memory map."""
    info: TokenFileInfo | None
    """None for a file without description, as other programs write them."""

    @cached_property
    def document_offsets(self) -> npt.NDArray[np.uint64] | None:
        """Where each document begins; None without description."""
        if self.info is None:
            return None
        path = self.path.with_name(self.info.document_offsets)
        offsets = map_npy(path)
        if len(offsets) != self.info.num_documents:
            raise TinylmError(
                f"{path}: has {len(offsets)} documents, {info_path(self.path).name} says {self.info.num_documents}; "
                "encode the text again"
            )
        return offsets

    def require_tokenizer(self, fingerprint: str) -> None:
        """Raises: TinylmError when the description names another tokenizer as the one that made this file."""
        if self.info and self.info.tokenizer != fingerprint:
            raise TinylmError(
                f"{self.path}: made by another tokenizer ({self.info.tokenizer[:12]}, not {fingerprint[:12]}); "
                "pass that one, or encode the text again with this one"
            )

    def require_vocab_size(self, vocab_size: int) -> None:
        """Raises: UsageError when the file can hold ids that a model with `vocab_size` tokens does not have."""
        needed = self.info.vocab_size if self.info else int(self.tokens.max()) + 1
        if needed > vocab_size:
            raise UsageError(
                f"{self.path}: has ids up to {needed - 1}, but the model's vocab_size is {vocab_size}; "
                f"use --set model.vocab_size={needed}"
            )


def open_tokens(path: str | Path) -> TokenFile:
    """Open a `.npy` or `.bin` token file, with its description if there is one.

    Raises: TinylmError when it is missing, cut short, or not a token file.
    """
    path = existing_file(path)
    info = TokenFileInfo.read(info_path(path)) if info_path(path).is_file() else None
    with path.open("rb") as stream:
        is_npy = stream.read(len(NPY_MAGIC)) == NPY_MAGIC
    tokens = require_ids(map_npy(path) if is_npy else map_bin(path, info), path)
    if info and info.num_tokens != len(tokens):
        raise TinylmError(
            f"{path}: has {len(tokens)} tokens, {info_path(path).name} says {info.num_tokens}; encode the text again"
        )
    return TokenFile(path, tokens, info)


def map_npy(path: Path) -> Tokens:
    """Memory-map a `.npy` file. Raises: TinylmError when it is missing, damaged or cut short."""
    with npy_errors(path):
        tokens: Tokens = np.load(existing_file(path), mmap_mode="r", allow_pickle=False)
    return tokens


def map_bin(path: Path, info: TokenFileInfo | None) -> Tokens:
    """Memory-map raw ids: uint16, as nanoGPT has them, unless the description says otherwise."""
    if path.suffix != ".bin":
        raise TinylmError(f"{path}: not a token file; `tinylm encode` makes one from text")
    dtype = np.dtype(info.dtype if info else "<u2").newbyteorder("<")
    size = path.stat().st_size
    require_whole(size, dtype, path)
    return np.memmap(path, dtype, mode="r") if size else np.zeros(0, dtype)


def tokens_from_bytes(data: bytes, name: str, vocab_size: int) -> Tokens:
    """The ids of a token file that came through a pipe; without header, of the type that `vocab_size` takes."""
    if data.startswith(NPY_MAGIC):
        with npy_errors(name):
            return require_ids(np.load(io.BytesIO(data), allow_pickle=False), name)
    dtype = token_dtype(vocab_size)
    require_whole(len(data), dtype, name)
    return require_ids(np.frombuffer(data, dtype), name)


def require_ids(tokens: Tokens, name: str | Path) -> Tokens:
    """Raises: TinylmError when the array is not a non-empty row of ids."""
    if tokens.ndim != 1 or tokens.dtype not in (np.uint16, np.uint32):
        shape = "x".join(map(str, tokens.shape))
        raise TinylmError(f"{name}: holds {tokens.dtype} values of shape {shape}, not a row of uint16 or uint32 ids")
    if not len(tokens):
        raise TinylmError(f"{name}: has no tokens")
    return tokens


def require_whole(size_bytes: int, dtype: np.dtype[Any], name: str | Path) -> None:
    """Raises: TinylmError when raw ids end within one."""
    if size_bytes % dtype.itemsize:
        raise TinylmError(f"{name}: cut short, {size_bytes} bytes are not a whole number of {dtype.name} ids")


@contextlib.contextmanager
def npy_errors(name: str | Path) -> Iterator[None]:
    """numpy's complaints about a file, with its name and what to do."""
    try:
        yield
    except (ValueError, EOFError) as error:
        raise TinylmError(f"{name}: damaged or cut short ({error}); encode the text again") from error
