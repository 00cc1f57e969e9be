"""What the sections share: commands of tinylm run and measured, tables, texts."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tinylm.commands.console import table

SPECIAL = "<|endoftext|>"
MEGABYTE = 10**6
VOCAB_SIZE = 10_000
KERNEL_BYTES = 3 * MEGABYTE // 2
"""So much text goes through the kernels once they are compiled."""
DOCUMENT_BYTES = 10 * MEGABYTE
"""Documents are drawn from so much of the first text."""

Row = list[str]
Merges = Sequence[tuple[bytes, bytes]]


class Settings(NamedTuple):
    """What a section works on."""

    texts: list[Path]
    scratch: Path
    megabytes: int


class Usage(NamedTuple):
    """What a process took, and the JSON that it printed."""

    peak_bytes: int
    cpu_seconds: float
    wall_seconds: float
    result: dict[str, Any]


def compile_kernels() -> None:
    """Have all machine code on disk."""
    from tinylm.tokenizer.kernels import compilation

    for part in compilation.PARTS:
        compilation.compile_part(part)


def show(title: str, headers: Row, rows: Iterator[Row]) -> bool:
    """Print a table; returns whether the outcome, the last column, is nowhere FAILED."""
    found = list(rows)
    print(table([*headers, "outcome"], found, title=f"\n{title}", left=2), flush=True)
    return all(row[-1] != "FAILED" for row in found)


def outcome(kept: bool) -> str:
    """Whether a promise is kept."""
    return "ok" if kept else "FAILED"


def command_line(*arguments: object) -> list[str]:
    """A command of tinylm's that prints JSON and replaces what is there."""
    return [sys.executable, "-m", "tinylm", *map(str, arguments), "--json", "--quiet"]


def run(*arguments: object) -> Usage:
    """Run a command of tinylm's."""
    started = time.perf_counter()
    with subprocess.Popen(command_line(*arguments), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        printed = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(process.args)} ended with {process.returncode}")  # type: ignore[arg-type]
    wall = time.perf_counter() - started
    return Usage(used.ru_maxrss * 1024, used.ru_utime + used.ru_stime, wall, json.loads(printed))


def train(out: Path, *arguments: object, vocab_size: int = VOCAB_SIZE) -> Usage:
    """Learn a tokenizer."""
    size = ("--vocab-size", vocab_size)
    return run("train-bpe", *arguments, *size, "--special-token", SPECIAL, "--out", out, "--force")


def encode(text: Path, tokenizer: Path, out: Path, *arguments: object) -> Usage:
    """Make a token file."""
    return run("encode", text, "--tokenizer", tokenizer, "--out", out, "--force", *arguments)


def write_drawn(path: Path, text: Path, size: int, words: Sequence[bytes] = ()) -> None:
    """Write documents drawn from a text, with replacement, until there are `size` bytes; words evenly among them."""
    with text.open("rb") as stream:
        documents = stream.read(DOCUMENT_BYTES).decode(errors="ignore").encode().split(SPECIAL.encode())[:-1]
    choose = random.Random(0)
    documents = [document + SPECIAL.encode() for document in documents]
    written = num_words = 0
    with path.open("wb") as out:
        while written < size:
            block = b"".join(choose.choices(documents, k=200))
            wanted = min(len(words), len(words) * (written + len(block)) // size)
            written += out.write(block + b"".join(words[num_words:wanted]))
            num_words = wanted
        out.flush()
        os.fsync(out.fileno())
