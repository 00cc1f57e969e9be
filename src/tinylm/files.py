"""Reading and writing files so that nothing is lost or half-written, and errors say what to do."""

import contextlib
import hashlib
import json
import math
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

from tinylm.errors import TinylmError, UsageError

STDIO = "-"
MAGIC = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


def explain_os_error(error: OSError) -> str:
    """One line for a person: the file and what is wrong with it."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason.lower()}" if error.filename else reason


def existing_file(path: str | Path) -> Path:
    """`path` as a Path, once it is known to be a readable, regular (or piped) file."""
    path = Path(path)
    if path.is_dir():
        raise TinylmError(f"{path}: is a directory, expected a file")
    if not path.exists():
        raise TinylmError(f"{path}: no such file")
    return path


@contextlib.contextmanager
def open_input(path: str | Path) -> Iterator[BinaryIO]:
    """Open `path` for reading bytes: `-` is standard input; gzip, xz and zstd are decompressed.

    Raises: TinylmError naming the file when it is missing, a directory, or damaged.
    """
    if str(path) == STDIO:
        yield sys.stdin.buffer
        return
    path = existing_file(path)
    with path.open("rb") as raw:
        kind = compression(raw)
        try:
            with _decompressed(raw, kind, path) as stream:
                yield stream
        except _damage_errors(kind, path) as error:
            raise TinylmError(f"{path}: damaged or cut short {kind} data ({error})") from error


def compression(raw: BinaryIO) -> str | None:
    """The kind of compression at the start of a buffered stream, by its magic bytes, or None."""
    head = raw.peek(8)[:8] if hasattr(raw, "peek") else b""
    return next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), None)


@contextlib.contextmanager
def _decompressed(raw: BinaryIO, kind: str | None, path: Path) -> Iterator[BinaryIO]:
    if kind is None:
        yield raw
        return
    opener: Any
    if kind == "gzip":
        import gzip as opener
    elif kind == "xz":
        import lzma as opener
    else:
        opener = _zstd(path)
    with opener.open(raw, "rb") as stream:
        yield cast(BinaryIO, stream)


def _zstd(path: Path) -> Any:
    try:
        from compression import zstd  # type: ignore[import-not-found]  # the standard library's, Python 3.14
    except ImportError:
        try:
            import zstandard as zstd
        except ImportError:
            raise TinylmError(
                f"{path}: zstd needs Python 3.14 or `pip install tinylm[zstd]`; or decompress it first: zstd -d {path}"
            ) from None
    return zstd


def _damage_errors(kind: str | None, path: Path) -> tuple[type[Exception], ...]:
    """What reading a damaged file of this kind raises; a plain file cannot be damaged in this sense."""
    if kind == "gzip":
        import gzip
        import zlib

        return (EOFError, gzip.BadGzipFile, zlib.error)
    if kind == "xz":
        import lzma

        return (EOFError, lzma.LZMAError)
    if kind == "zstd":
        return (EOFError, _zstd(path).ZstdError)
    return ()


def refuse_to_overwrite(path: str | Path, force: bool) -> None:
    """Raises: UsageError when there is a file or directory at `path`, and `--force` was not given."""
    if not force and str(path) != STDIO and (Path(path).is_file() or Path(path).is_dir()):
        raise UsageError(f"{path}: already exists; pass --force to replace it, or choose another --out")


def temporary_name(path: Path) -> Path:
    """A name beside `path`, on the same file system, for what is not finished yet."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


@contextlib.contextmanager
def atomic_file(path: str | Path) -> Iterator[BinaryIO]:
    """Write bytes under a temporary name; the file appears under `path` whole or not at all.

    A symbolic link stays one, and what is there but is no file, as a device or a named pipe, is written to directly.
    """
    path = Path(path).resolve()
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            yield stream
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        with temporary.open("wb") as stream:
            yield stream
            flush_to_disk(stream)
        rename_for_good(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def flush_to_disk(stream: BinaryIO) -> None:
    """Have on disk what has been written to a file."""
    stream.flush()
    os.fsync(stream.fileno())


def rename_for_good(temporary: Path, path: Path) -> None:
    """Replace `path` by a file whose bytes are on disk, so that no crash undoes it."""
    temporary.replace(path)
    _sync_directory(path.parent)


@contextlib.contextmanager
def atomic_directory(path: str | Path) -> Iterator[Path]:
    """Fill a temporary directory; it appears under `path` whole or not at all, replacing what was there."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    old = temporary.with_suffix(".old")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.iterdir():
            _sync(file)
        _sync_directory(temporary)
        if path.exists():
            path.rename(old)
        try:
            temporary.rename(path)
        except BaseException:
            if old.exists():
                old.rename(path)
            raise
        _sync_directory(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_text(path: str | Path, text: str) -> None:
    """Replace the file at `path` with `text`, atomically."""
    with atomic_file(path) as stream:
        stream.write(text.encode())


def write_json(path: str | Path, value: Any) -> None:
    """Replace the file at `path` with `value` as indented JSON, atomically."""
    write_text(path, json_text(value, indent=2) + "\n")


def json_text(value: Any, *, indent: int | None = None) -> str:
    """`value` as JSON, which has neither NaN nor infinity: they become null."""
    return json.dumps(_finite(value), indent=indent, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def read_json(path: str | Path) -> Any:
    """Raises: TinylmError naming the file when it is missing or not JSON."""
    path = existing_file(path)
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise TinylmError(f"{path}: not valid JSON ({error})") from error


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with existing_file(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextlib.contextmanager
def lock(path: str | Path, in_use: str) -> Iterator[None]:
    """Hold the lock file at `path` for the duration. Raises: TinylmError(in_use) when another process has it."""
    import filelock

    holder = filelock.FileLock(path)
    try:
        holder.acquire(timeout=0)
    except filelock.Timeout:
        raise TinylmError(in_use) from None
    try:
        yield
    finally:
        holder.release()


def _sync(path: Path) -> None:
    with path.open("r+b") as stream:  # Windows flushes only what it could write to
        os.fsync(stream.fileno())


def _sync_directory(path: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
