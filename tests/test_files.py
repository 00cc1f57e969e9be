"""Files are read with plain messages and written whole or not at all."""

import gzip
import lzma
import math
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock

from tinylm.errors import TinylmError, UsageError
from tinylm.files import (
    atomic_directory,
    atomic_file,
    explain_os_error,
    json_text,
    lock,
    open_input,
    read_json,
    refuse_to_overwrite,
    sha256,
)

TEXT = b"one\ntwo\n" * 1000


@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress], ids=["plain", "gzip", "xz"])
def test_compressed_input_reads_as_its_text(compress: object, tmp_path: Path) -> None:
    """Compression is recognised by content, whatever the name says."""
    path = tmp_path / "input.txt"
    path.write_bytes(compress(TEXT))  # type: ignore[operator]
    with open_input(path) as stream:
        assert stream.read() == TEXT


def test_zstd_input_reads_or_says_what_to_install(tmp_path: Path) -> None:
    """zstd is read where a library can, else the message names the ways out."""
    path = tmp_path / "input.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd\x20\x03\x19\x00\x00abc\x00\x00\x00\x00")
    try:
        import zstandard  # noqa: F401
    except ImportError:
        with pytest.raises(TinylmError, match=r"pip install tinylm\[zstd\]"), open_input(path):
            pass


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress], ids=["gzip", "xz"])
def test_truncated_compression_is_named(compress: object, tmp_path: Path) -> None:
    """A cut-short archive is an error with the file's name, not a traceback."""
    path = tmp_path / "input"
    path.write_bytes(compress(TEXT)[:-9])  # type: ignore[operator]
    with pytest.raises(TinylmError, match="input: damaged or cut short"), open_input(path) as stream:
        stream.read()


def test_missing_and_directory_are_told_apart(tmp_path: Path) -> None:
    """No such file, and a directory where a file belongs."""
    with pytest.raises(TinylmError, match="no such file"), open_input(tmp_path / "absent"):
        pass
    with pytest.raises(TinylmError, match="is a directory"), open_input(tmp_path):
        pass


def test_atomic_file_appears_only_when_whole(tmp_path: Path) -> None:
    """A failure half-way keeps the old content and leaves no temporary file."""
    path = tmp_path / "deep" / "file"
    with atomic_file(path) as stream:
        stream.write(b"old")
    with pytest.raises(RuntimeError), atomic_file(path) as stream:
        stream.write(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_atomic_directory_replaces_whole(tmp_path: Path) -> None:
    """A new directory replaces the old one entirely; a failure keeps the old one."""
    path = tmp_path / "directory"
    for name in ("a", "b"):
        with atomic_directory(path) as directory:
            (directory / name).write_text(name)
    with pytest.raises(RuntimeError), atomic_directory(path) as directory:
        (directory / "c").write_text("c")
        raise RuntimeError
    assert [item.name for item in path.iterdir()] == ["b"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="mkfifo, symbolic links")
def test_atomic_file_replaces_files_only(tmp_path: Path) -> None:
    """What a symbolic link leads to is replaced, a pipe is written to; both are what they were."""
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with atomic_file(tmp_path / "link") as stream:
        stream.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as reader:
        read = reader.submit((tmp_path / "pipe").read_bytes)
        with atomic_file(tmp_path / "pipe") as stream:
            stream.write(b"through")
        assert read.result() == b"through"
    assert (tmp_path / "pipe").is_fifo()


def test_an_interrupted_atomic_directory_is_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever comes between taking the old one away and putting the new one there."""
    path, rename = tmp_path / "d", Path.rename
    path.mkdir()
    (path / "old").touch()

    def interrupted(source: Path, target: Path) -> Path:
        if source.suffix == ".tmp":
            raise KeyboardInterrupt
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), atomic_directory(path) as directory:
        (directory / "new").touch()
    assert [file.name for file in path.iterdir()] == ["old"]
    assert [file.name for file in tmp_path.iterdir()] == ["d"]


def test_overwriting_needs_force(tmp_path: Path) -> None:
    """What exists is kept unless --force is given; standard output always may be written."""
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(UsageError, match="--force"):
        refuse_to_overwrite(path, force=False)
    refuse_to_overwrite(path, force=True)
    refuse_to_overwrite("-", force=False)


def test_lock_has_one_holder(tmp_path: Path) -> None:
    """A second holder is refused with the given message, and may have it afterwards."""
    path = tmp_path / ".lock"
    with FileLock(path), pytest.raises(TinylmError, match="busy"), lock(path, "busy"):
        pass
    with lock(path, "busy"):
        pass


def test_json_has_no_nan() -> None:
    """NaN and infinities become null at any depth."""
    assert json_text({"a": [math.nan, 1.5], "b": {"c": -math.inf}}) == '{"a": [null, 1.5], "b": {"c": null}}'


def test_broken_json_names_the_file(tmp_path: Path) -> None:
    """A file that is not JSON is named."""
    path = tmp_path / "broken.json"
    path.write_text("{")
    with pytest.raises(TinylmError, match=r"broken\.json: not valid JSON"):
        read_json(path)


def test_sha256_is_the_standard_one(tmp_path: Path) -> None:
    """FIPS 180-2's first test vector."""
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_os_errors_are_one_line() -> None:
    """The file and the reason, without errno."""
    assert explain_os_error(OSError(28, "No space left on device", "out.npy")) == "out.npy: no space left on device"
