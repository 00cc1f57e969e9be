"""`tinylm train-bpe`: learn a vocabulary from text."""

import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from tinylm.commands import options
from tinylm.commands.console import Advance, Console, bytes_text, duration
from tinylm.files import refuse_to_overwrite

if TYPE_CHECKING:
    from tinylm.tokenizer import TrainingProgress

LONGEST = 10

VocabSize = Annotated[
    int, typer.Option(metavar="N", min=1, help="Number of tokens: 256 bytes, merges, special tokens.")
]
SpecialTokens = Annotated[
    list[str] | None,
    typer.Option("--special-token", metavar="TEXT", help="Never split or merged across; repeatable."),
]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Where the tokenizer goes.")]
Pattern = Annotated[str, typer.Option(help="gpt2, cl100k, o200k, or a regular expression of your own.")]


def train_bpe(
    inputs: options.Inputs,
    vocab_size: VocabSize,
    out: Out,
    special_tokens: SpecialTokens = None,
    pattern: Pattern = "gpt2",
    threads: options.Threads = None,
    invalid: options.Invalid = "error",
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Learn a byte-level BPE tokenizer from text.

    Examples:

      tinylm train-bpe ts.txt --vocab-size 10000 --special-token '<|endoftext|>' --out ts

      xzcat dump.xz | tinylm train-bpe - --vocab-size 32000 --out wiki-32k
    """
    from tinylm import tokenizer

    console = Console(json=json, quiet=quiet)
    refuse_to_overwrite(out, force)
    started = time.perf_counter()
    with ProgressDisplay(console) as display:
        trained = tokenizer.train_bpe(
            inputs,
            vocab_size,
            special_tokens or (),
            pattern=pattern,
            num_threads=threads,
            invalid=invalid,
            on_progress=display,
        )
    if len(trained.vocab) < vocab_size:
        console.warn(
            f"the text ran out of pairs after {len(trained.merges):,} merges: "
            f"the vocabulary has {len(trained.vocab):,} tokens, not {vocab_size:,}"
        )
    trained.save(out)
    values = {
        "vocab_size": len(trained.vocab),
        "num_merges": len(trained.merges),
        "seconds": time.perf_counter() - started,
        "peak_memory_bytes": peak_memory_bytes(),
        "input_bytes": display.input_bytes,
        "longest_tokens": longest_tokens(trained.merges),
        "out": str(out),
    }
    console.result(values, summary(values))


class ProgressDisplay:
    """One progress bar after the other, as the stages of training come."""

    def __init__(self, console: Console) -> None:
        self.input_bytes = 0
        self._console = console
        self._bar = ExitStack()
        self._advance: Advance
        self._stage = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._bar.close()

    def __call__(self, progress: "TrainingProgress") -> None:
        """Move the bar of the stage, after opening it when the stage has just begun."""
        if progress.stage != self._stage:
            self._bar.close()
            self._stage = progress.stage
            self._advance = self._bar.enter_context(self._console.progress(progress.stage, progress.total))
        if progress.stage == "counting":
            self.input_bytes = progress.completed
            self._advance(progress.completed, bytes_text(progress.completed))
        else:
            self._advance(progress.completed, f"{progress.completed:,} merges")


def longest_tokens(merges: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """The longest learned tokens as text that is safe to show."""
    tokens = sorted((left + right for left, right in merges), key=len, reverse=True)
    return [printable(token) for token in tokens[:LONGEST]]


def printable(token: bytes) -> str:
    r"""Text with what is no character, and characters that control a terminal, as escapes: `b"\xc3\n"` -> `\xc3\n`."""
    text = token.decode(errors="backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def peak_memory_bytes() -> int:
    """The most memory that this process held, plus the most that one of its workers held."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def summary(values: Mapping[str, Any]) -> str:
    """The result for a person."""
    lines = [
        f"{values['vocab_size']:,} tokens ({values['num_merges']:,} merges) from {bytes_text(values['input_bytes'])} "
        f"in {duration(values['seconds'])}, peak memory {bytes_text(values['peak_memory_bytes'])}",
        f"longest: {' '.join(f'[{token}]' for token in values['longest_tokens'])}",
        f"saved to {values['out']}",
    ]
    return "\n".join(lines)
