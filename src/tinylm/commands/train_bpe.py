"""`tinylm train-bpe`: learn a vocabulary from text."""

import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import typer

from tinylm.commands import options
from tinylm.commands.console import Advance, Console, bytes_text, duration
from tinylm.commands.vocabulary_report import held_out_report, longest_tokens
from tinylm.errors import UsageError
from tinylm.files import refuse_to_overwrite

if TYPE_CHECKING:
    from tinylm.tokenizer import TrainingProgress
    from tinylm.tokenizer.word_counts import CountFile

Inputs = Annotated[
    list[str] | None,
    typer.Argument(metavar="INPUT...", help="Text files; - is standard input; .gz, .xz and .zst are decompressed."),
]
VocabSize = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Number of tokens: 256 bytes, merges, special tokens.")
]
HeldOutText = Annotated[
    list[Path] | None, typer.Option("--held-out", metavar="FILE", help="Text to report bytes per token on; repeatable.")
]
CountsOut = Annotated[Path | None, typer.Option(metavar="FILE", help="Keep the counts of pre-tokens.")]
FromCounts = Annotated[
    list[Path] | None, typer.Option(metavar="FILE", help="Counts to learn from, added up; repeatable.")
]
SpecialTokens = Annotated[
    list[str] | None,
    typer.Option("--special-token", metavar="TEXT", help="Never split or merged across; repeatable."),
]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Where the tokenizer goes.")]
Pattern = Annotated[str, typer.Option(help="gpt2, cl100k, o200k, or a regular expression of your own.")]


DEFAULT_PATTERN = "gpt2"


def train_bpe(
    inputs: Inputs = None,
    vocab_size: VocabSize = None,
    out: Out = None,
    special_tokens: SpecialTokens = None,
    pattern: Pattern = DEFAULT_PATTERN,
    held_out: HeldOutText = None,
    shard: options.Shard = None,
    counts_out: CountsOut = None,
    from_counts: FromCounts = None,
    threads: options.Threads = None,
    invalid: options.Invalid = "error",
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Learn a byte-level BPE tokenizer from text.

    Several machines can count, each one --shard into --counts-out, and one of them learn --from-counts.

    Examples:

      tinylm train-bpe ts.txt --vocab-size 10000 --special-token '<|endoftext|>' --out ts

      xzcat dump.xz | tinylm train-bpe - --vocab-size 32000 --out wiki-32k
    """
    from tinylm.tokenizer.sources import whole
    from tinylm.tokenizer.storage import require_directory
    from tinylm.tokenizer.train import merges_wanted, train_on_words
    from tinylm.tokenizer.word_counts import add_counts, write_counts

    require_a_task(inputs, vocab_size, out, counts_out, from_counts)
    if out:
        require_directory(out)
    for path in filter(None, (out, counts_out)):
        refuse_to_overwrite(path, force)
    if vocab_size:
        merges_wanted(vocab_size, special_tokens or ())
    console = Console(json=json, quiet=quiet)
    started = time.perf_counter()
    with ProgressDisplay(console) as display:
        if from_counts:
            counted = add_counts(from_counts)
            require_settings(counted, special_tokens, pattern)
        else:
            counted = count(inputs or [], shard, special_tokens or [], pattern, threads, invalid, display)
        if counts_out:
            write_counts(counts_out, counted)
        trained = (
            train_on_words(counted.words, vocab_size, counted.settings, on_progress=display) if vocab_size else None
        )
    values: dict[str, Any] = {
        "seconds": time.perf_counter() - started,
        "peak_memory_bytes": peak_memory_bytes(),
        "input_bytes": counted.input_bytes,
        "num_words": len(counted.words.counts),
    }
    if trained is None or vocab_size is None or out is None:
        values["counts_out"] = str(counts_out)
        console.result(values, counts_summary(values))
        return
    if len(trained.vocab) < vocab_size:
        console.warn(
            f"the text ran out of pairs after {len(trained.merges):,} merges: "
            f"the vocabulary has {len(trained.vocab):,} tokens, not {vocab_size:,}"
        )
    trained.save(out)
    values |= {
        "vocab_size": len(trained.vocab),
        "num_merges": len(trained.merges),
        "longest_tokens": longest_tokens(trained.merges),
        "held_out": held_out_report(trained, whole(held_out)) if held_out else None,
        "out": str(out),
    }
    console.result(values, summary(values))


def require_a_task(
    inputs: list[str] | None,
    vocab_size: int | None,
    out: Path | None,
    counts_out: Path | None,
    from_counts: list[Path] | None,
) -> None:
    """Raises: UsageError when it is not said what to read or what to make."""
    if bool(inputs) == bool(from_counts):
        raise UsageError(
            "nothing to read: give INPUT files" if not inputs else "give INPUT files or --from-counts, not both"
        )
    if (vocab_size is None) != (out is None) or (out is None and counts_out is None):
        raise UsageError("give --vocab-size and --out to learn a tokenizer, --counts-out to count only")


def require_settings(counted: "CountFile", special_tokens: list[str] | None, pattern: str) -> None:
    """Raises: UsageError when counts were made with other special tokens or another pattern than is asked for."""
    settings = counted.settings
    if special_tokens and set(special_tokens) != set(settings.special_tokens):
        made = ", ".join(settings.special_tokens) or "none"
        raise UsageError(f"--special-token: the counts were made with others ({made}); leave it out, or count again")
    if pattern not in (DEFAULT_PATTERN, settings.pattern):
        raise UsageError(f"--pattern: the counts were made with {settings.pattern}; leave it out, or count again")


def count(
    inputs: list[str],
    shard: str | None,
    special_tokens: list[str],
    pattern: str,
    threads: int | None,
    invalid: Literal["error", "replace"],
    display: "ProgressDisplay",
) -> "CountFile":
    """The pre-tokens of the inputs, or of one shard of them."""
    from tinylm.tokenizer.shards import Shard, shard_sources
    from tinylm.tokenizer.sources import whole
    from tinylm.tokenizer.train import count_words
    from tinylm.tokenizer.word_counts import CountFile, CountSettings

    settings = CountSettings(pattern, tuple(dict.fromkeys(special_tokens)))
    sources = shard_sources(inputs, Shard.parse(shard), special_tokens, pattern) if shard else whole(inputs)
    words = count_words(sources, settings, num_threads=threads, invalid=invalid, on_progress=display)
    return CountFile(words, display.input_bytes, settings)


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
        if progress.stage != self._stage and progress.stage != "compiling":
            self._bar.close()
            self._stage = progress.stage
            self._advance = self._bar.enter_context(self._console.progress(progress.stage, progress.total))
        if progress.stage == "compiling":
            self._console.note(options.COMPILING)
        elif progress.stage == "counting":
            self.input_bytes = progress.completed
            self._advance(progress.completed, bytes_text(progress.completed))
        else:
            self._advance(progress.completed, f"{progress.completed:,} merges")


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
    ]
    if held_out := values["held_out"]:
        lines.append(
            f"held-out text: {held_out['bytes_per_token']:.3f} bytes per token, "
            f"{held_out['vocab_share_used']:.1%} of the vocabulary used in {bytes_text(held_out['input_bytes'])}"
        )
    return "\n".join([*lines, f"saved to {values['out']}"])


def counts_summary(values: Mapping[str, Any]) -> str:
    """The result of counting only."""
    return (
        f"{values['num_words']:,} distinct pre-tokens in {bytes_text(values['input_bytes'])}, "
        f"{duration(values['seconds'])}, saved to {values['counts_out']}"
    )
