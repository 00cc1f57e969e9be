"""Writing a token file block by block, in constant memory; it appears whole, with its description, or not at all.

Until then it is `.name.npy.partial`. A journal beside it says how much of that is on disk for good and where in the
input to go on, so that a run that was killed can be gone on with.
"""

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from tinylm.data.token_file import Format, TokenFileInfo, info_path, offsets_path, token_dtype
from tinylm.errors import StoppedError
from tinylm.files import flush_to_disk, lock, read_json, rename_for_good, sha256, write_json


class Place(NamedTuple):
    """Where in the input to go on: a number among the sources and an offset in bytes."""

    source: int
    offset: int


BEGINNING = Place(0, 0)


@dataclass(frozen=True)
class Journal:
    """What is known to be on disk of a token file that is not finished."""

    job: str = ""
    """What is being done; another job does not go on from here."""
    num_tokens: int = 0
    num_documents: int = 0
    input_bytes: int = 0
    place: Place = BEGINNING


class TokenWriter:
    """Takes blocks of ids; made by `write_tokens`."""

    def __init__(self, tokens: "ArrayStream", offsets: "ArrayStream", journal: Journal, journal_path: Path) -> None:
        self._tokens = tokens
        self._offsets = offsets
        self._journal_path = journal_path
        self.journal = journal
        """How far this job has come, now or in an earlier run, when it was last put on record."""
        self.input_bytes = journal.input_bytes
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

    def put_on_record(self, place: Place) -> None:
        """Have everything so far on disk, so that this job, killed, goes on from `place`."""
        self._tokens.flush()
        self._offsets.flush()
        self.journal = Journal(self.journal.job, self.num_tokens, self.num_documents, self.input_bytes, place)
        write_json(self._journal_path, asdict(self.journal))


@contextlib.contextmanager
def write_tokens(
    path: Path, *, vocab_size: int, tokenizer: str, file_format: Format = "npy", job: str = ""
) -> Iterator[TokenWriter]:
    """Write the token file at `path`, its document offsets and its description, when the block ends without an error.

    Goes on where an earlier run of the same `job` was killed. An error leaves nothing behind; an interruption leaves
    what is on record.

    Raises: OSError when the disk is full; TinylmError when another process is writing the same file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with only_writer(path), full_disk_named(path):
        journal = read_journal(path, job)
        try:
            with opened(offsets_path(path), journal) as offsets_file, opened(path, journal) as tokens_file:
                tokens = ArrayStream(
                    tokens_file, token_dtype(vocab_size), header=file_format == "npy", length=journal.num_tokens
                )
                offsets = ArrayStream(offsets_file, np.dtype("<u8"), length=journal.num_documents)
                writer = TokenWriter(tokens, offsets, journal, journal_path(path))
                yield writer
                tokens.finish()
                offsets.finish()
                digest = flushed_and_hashed([tokens_file, offsets_file], partial_path(path))
        except BaseException as error:
            if not isinstance(error, KeyboardInterrupt | StoppedError) or not journal_path(path).exists():
                discard(path)
            raise
        info = TokenFileInfo(
            tokenizer=tokenizer,
            vocab_size=vocab_size,
            num_tokens=writer.num_tokens,
            num_documents=writer.num_documents,
            input_bytes=writer.input_bytes,
            dtype=tokens.dtype.name,
            document_offsets=offsets_path(path).name,
            sha256=digest,
        )
        give_names(path, info)
        discard(path)


def give_names(path: Path, info: TokenFileInfo) -> None:
    """Put the offsets, the description and the tokens in place; if that is cut short they are `half_renamed`."""
    partial_path(offsets_path(path)).replace(offsets_path(path))
    write_json(info_path(path), info.as_json())  # has its own name on disk for good, and the one before it
    rename_for_good(partial_path(path), path)  # last: where it is, the others are


@contextlib.contextmanager
def full_disk_named(path: Path) -> Iterator[None]:
    """An error for want of room says of which file, which it does not know by itself."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            error.filename = str(path)
        raise


@contextlib.contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Keep other processes from writing the same file."""
    lock_path = path.with_name(f".{path.name}.lock")
    with lock(lock_path, f"{path}: another process is writing it"):
        try:
            yield
        finally:
            lock_path.unlink(missing_ok=True)


def partial_path(path: Path) -> Path:
    """Where a file is until it is complete."""
    return path.with_name(f".{path.name}.partial")


def journal_path(path: Path) -> Path:
    """The journal of a token file that is not finished."""
    return path.with_name(f".{path.name}.journal")


def half_renamed(path: Path) -> bool:
    """Whether a run was stopped while its files got their names: the offsets first, the tokens last."""
    return partial_path(path).exists() and not partial_path(offsets_path(path)).exists()


def read_journal(path: Path, job: str) -> Journal:
    """How far an earlier run of the job has come; from the beginning when there is none, or its files are not there."""
    if job and all(
        file.exists() for file in (journal_path(path), partial_path(path), partial_path(offsets_path(path)))
    ):
        values = read_json(journal_path(path))
        if values["job"] == job:
            return Journal(**values | {"place": Place(*values["place"])})
    return Journal(job)


def opened(path: Path, journal: Journal) -> BinaryIO:
    """The partial file of `path`, empty unless a journal says what is in it."""
    return partial_path(path).open("r+b" if journal.num_tokens else "w+b")


def flushed_and_hashed(streams: Sequence[BinaryIO], path: Path) -> str:
    """Have files on disk, and meanwhile find the SHA-256 of the one at `path`."""
    with ThreadPoolExecutor(1) as aside:
        on_disk = [aside.submit(flush_to_disk, stream) for stream in streams]
        digest = sha256(path)
        for each in on_disk:
            each.result()
    return digest


def discard(path: Path) -> None:
    """Remove what is not needed once a token file is complete, or given up."""
    for file in (journal_path(path), partial_path(path), partial_path(offsets_path(path))):
        file.unlink(missing_ok=True)


class ArrayStream:
    """A one-dimensional array written to a file as it comes; its `.npy` header, which has the length, is written last.

    The first `length` values are already there.
    """

    def __init__(self, stream: BinaryIO, dtype: np.dtype[Any], *, header: bool = True, length: int = 0) -> None:
        self.dtype = dtype
        self.length = length
        self._stream = stream
        self._header = header
        self._write_header()
        stream.seek(length * dtype.itemsize, os.SEEK_CUR)
        stream.truncate()

    def append(self, values: npt.NDArray[Any]) -> None:
        """Write integers. Raises: OverflowError rather than wrapping one that the type cannot hold."""
        if values.dtype != self.dtype:
            if len(values) and not 0 <= values.min() <= values.max() <= np.iinfo(self.dtype).max:
                raise OverflowError(f"{self.dtype.name} cannot hold all of {values.min()} to {values.max()}")
            values = values.astype(self.dtype)
        self._stream.write(values.data)
        self.length += len(values)

    def flush(self) -> None:
        """Have everything on disk."""
        flush_to_disk(self._stream)

    def finish(self) -> None:
        """Bring the header up to date; not yet on disk."""
        self._stream.seek(0)
        self._write_header()
        self._stream.flush()

    def _write_header(self) -> None:
        if self._header:  # numpy leaves room, so that a longer length makes no longer header
            fields = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.length,)}
            np.lib.format.write_array_header_1_0(self._stream, fields)
