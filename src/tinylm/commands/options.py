"""Options that several commands share, each defined once."""

from pathlib import Path
from typing import Annotated, Literal

import typer

COMPILING = "compiling the tokenizer for this processor: about a minute, once where the result can be stored"
"""The note of commands that are the first to need the compiled kernels."""

Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes; errors still show.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is already there.")]

Inputs = Annotated[
    list[str],
    typer.Argument(metavar="INPUT...", help="Text files; - is standard input; .gz, .xz and .zst are decompressed."),
]
Invalid = Annotated[
    Literal["error", "replace"], typer.Option(help="Bytes that are not UTF-8: stop, or read them as U+FFFD.")
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override one configuration key, as in --set optim.lr=1e-3; repeatable.",
    ),
]
Tokenizer = Annotated[
    Path, typer.Option("--tokenizer", metavar="DIR", help="A directory written by `tinylm train-bpe`.")
]
Shard = Annotated[
    str | None,
    typer.Option("--shard", metavar="I/N", help="Take one of N parts of the input, as 2/16, or several, as 1-15/16."),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="Workers; the result does not depend on it. Default: all cores."),
]

Presets = Annotated[
    list[str] | None,
    typer.Option("--preset", metavar="NAME", help="gpt2-small, -medium, -large, -xl, tinystories, owt; repeatable."),
]
Config = Annotated[
    str | None, typer.Option("--config", metavar="FILE", help="A configuration file, or a shipped one by name.")
]
ContextLengths = Annotated[
    list[str] | None,
    typer.Option("--context-length", metavar="N", help="In place of the model's; repeat to compare."),
]
BatchSize = Annotated[int | None, typer.Option(min=1, max=2**31 - 1, help="Sequences per step.")]
PrecisionName = Literal["auto", "fp32", "tf32", "bf16"]
Precision = Annotated[PrecisionName, typer.Option(help="Of the matrix products; auto is bf16 where the device has it.")]
Explain = Annotated[bool, typer.Option("--explain", help="Show the formula behind each number.")]
