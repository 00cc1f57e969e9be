"""The kernels are used where they pay, and no small input waits for their compilation."""

import gzip
import io
import os
import sys
from pathlib import Path

import pytest

from tinylm.errors import TinylmError
from tinylm.tokenizer.kernel_choice import (
    SMALLEST_BYTES,
    WORTH_COMPILING_BYTES,
    pays,
    standard_input_size,
    suits_kernels,
)
from tinylm.tokenizer.kernels import compilation
from tinylm.tokenizer.sources import whole


@pytest.mark.parametrize(
    ("size", "compiled", "answer"),
    [
        (SMALLEST_BYTES - 1, True, False),
        (SMALLEST_BYTES, True, True),
        (SMALLEST_BYTES, False, False),
        (WORTH_COMPILING_BYTES - 1, False, False),
        (WORTH_COMPILING_BYTES, False, True),
    ],
)
def test_compilation_is_paid_for_large_texts_only(
    size: int, compiled: bool, answer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiled kernels serve from SMALLEST_BYTES on; until they are compiled, from WORTH_COMPILING_BYTES."""
    monkeypatch.setattr(compilation, "is_compiled", lambda _part: compiled)
    assert pays(size, "train") is answer


def test_other_patterns_go_through_regex(tmp_path: Path) -> None:
    """The kernels know one pattern; a large text with another does not go through them."""
    text = tmp_path / "text"
    text.write_bytes(b"a " * (WORTH_COMPILING_BYTES // 2))
    assert suits_kernels(whole([text]), "gpt2", "train")
    assert not suits_kernels(whole([text]), "cl100k", "train")


def test_a_compressed_text_counts_with_what_it_may_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small archive is a small text: it does not wait for a compilation."""
    monkeypatch.setattr(compilation, "is_compiled", lambda _part: False)
    archive = tmp_path / "text.gz"
    archive.write_bytes(gzip.compress(b"a few words"))
    assert not suits_kernels(whole([archive]), "gpt2", "train")


@pytest.mark.skipif(sys.platform == "win32", reason="mkfifo")
def test_pipes_and_files_beside_standard_input_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named pipe may hold anything, which nothing is compiled for; a large file is large whatever comes with it."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a few words")))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"a " * (WORTH_COMPILING_BYTES // 2))
    for compiled in (True, False):
        monkeypatch.setattr(compilation, "is_compiled", lambda _part, answer=compiled: answer)
        assert suits_kernels(whole([tmp_path / "pipe"]), "gpt2", "train") is compiled
    assert suits_kernels(whole(["-", tmp_path / "large"]), "gpt2", "train")
    assert not suits_kernels(whole(["-"]), "gpt2", "train")
    with pytest.raises(TinylmError, match="missing: no such file"):
        suits_kernels(whole([tmp_path / "missing"]), "gpt2", "train")


def test_standard_input_is_measured_and_still_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking at the size of standard input takes nothing from it, however often it is done."""
    text = bytes(range(256)) * 40
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert standard_input_size(100) == 100
    assert standard_input_size(1 << 20) == len(text)
    assert sys.stdin.buffer.read() == text
