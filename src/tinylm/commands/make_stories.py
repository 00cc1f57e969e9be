"""`tinylm make-stories`: text to try everything else on."""

import re
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from tinylm.commands import options
from tinylm.commands.console import Console, bytes_text
from tinylm.errors import UsageError
from tinylm.files import STDIO, atomic_file, refuse_to_overwrite

Size = Annotated[
    str, typer.Option(metavar="SIZE", help="How much text, as in 500kB, 5MB or 1.5GB; ends with a whole story.")
]
Seed = Annotated[int, typer.Option(min=0, help="Each seed has its own stories, always the same ones.")]
Out = Annotated[Path, typer.Option(metavar="FILE", help="The text file; - is standard output.")]


def make_stories(
    out: Out,
    size: Size = "5MB",
    seed: Seed = 0,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Make small stories to train on, each ended by <|endoftext|>.

    Examples:

      tinylm make-stories --size 5MB --out stories.txt

      tinylm make-stories --size 100kB --seed 7 --out - | less
    """
    from tinylm.data.stories import documents

    console = Console(json=json, quiet=quiet)
    if json and str(out) == STDIO:
        raise UsageError("--json and --out - both write to standard output; choose one")
    size_bytes = parse_size(size)
    refuse_to_overwrite(out, force)
    num_stories = num_bytes = 0
    with _writable(out) as stream, console.progress("making stories", size_bytes) as advance:
        for num_stories, document in enumerate(documents(seed, size_bytes), start=1):
            stream.write(document)
            num_bytes += len(document)
            advance(num_bytes, f"{num_stories:,} stories")
    if str(out) != STDIO:
        values = {"num_stories": num_stories, "num_bytes": num_bytes, "seed": seed, "out": str(out)}
        console.result(values, f"{num_stories:,} stories, {bytes_text(num_bytes)}, saved to {out}")


def parse_size(text: str) -> int:
    """`1.5MB` -> 1500000; decimal units, as file sizes are written. Raises: UsageError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) *([kmgt]?)b?", text.strip().lower())
    size_bytes = round(float(match[1]) * 1000 ** "_kmgt".index(match[2] or "_")) if match else 0
    if not size_bytes:
        raise UsageError(f"--size {text!r}: not a size; write it as 500kB, 5MB or 1.5GB")
    return size_bytes


def _writable(out: Path) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdout.buffer) if str(out) == STDIO else atomic_file(out)
