"""`tinylm sample`: a trained model continues a prompt."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tinylm.commands import options
from tinylm.commands.console import Console
from tinylm.errors import UsageError
from tinylm.files import STDIO

if TYPE_CHECKING:
    from tinylm.training.trained import TrainedModel


@dataclass(frozen=True, slots=True)
class Sample:
    """One continuation, with the prompt in front."""

    text: str
    num_tokens: int
    """Tokens that the model added."""
    finish_reason: str
    """`stop` at <|endoftext|>, `length` at --max-new-tokens."""


def sample(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory, or one of its checkpoints.")],
    prompt: Annotated[str, typer.Option("--prompt", metavar="TEXT", help="What to continue; - reads standard input.")],
    temperature: Annotated[float, typer.Option("--temperature", help="0 always takes the likeliest token.")] = 0.8,
    top_p: Annotated[float, typer.Option("--top-p", help="Sample from the likeliest tokens that sum to this.")] = 0.9,
    top_k: Annotated[int | None, typer.Option("--top-k", help="Sample from this many likeliest tokens.")] = None,
    max_new_tokens: Annotated[int, typer.Option("--max-new-tokens", min=1, help="Longest continuation.")] = 256,
    num_samples: Annotated[int, typer.Option("--num-samples", min=1, help="How many continuations.")] = 1,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="The same seed gives the same text.")] = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write text with a trained model; it appears as it is made.

    Examples:

      tinylm sample runs/first --prompt "Once upon a time"

      tinylm sample runs/first --prompt "The dragon" --temperature 1 --num-samples 3
    """
    from tinylm.training.trained import TrainedModel

    console = Console(json=json, quiet=quiet)
    trained = TrainedModel.load(run)
    for note in trained.notes:
        console.warn(f"skipped a damaged checkpoint: {note}")
    prompt_ids = encode_prompt(trained, read_prompt() if prompt == STDIO else prompt)
    samples = []
    for index in range(num_samples):
        ids = trained.continuation(
            prompt_ids,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            seed=seed + index,
        )
        if index:
            console.stream("\n\n")
        samples.append(_write(trained, prompt_ids, ids, max_new_tokens, console))
    console.stream("\n")
    console.result({"samples": [asdict(made) for made in samples]}, "")


def read_prompt() -> str:
    """All of standard input. Raises: UsageError when it is not UTF-8."""
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"standard input: not UTF-8 (byte {error.start} is 0x{error.object[error.start]:02x}); "
            "convert it first, for instance with iconv -f latin1 -t utf-8"
        ) from error


def encode_prompt(trained: "TrainedModel", prompt: str) -> list[int]:
    """Ids of the prompt, special-token text being text. Raises: UsageError when it is empty or does not fit."""
    ids = trained.tokenizer.encode_ordinary(prompt)
    context_length = trained.model.context_length
    if not ids:
        raise UsageError("the prompt is empty; give the text to continue: --prompt 'Once upon a time'")
    if len(ids) > context_length:
        raise UsageError(
            f"the prompt is {len(ids)} tokens, more than the model's context of {context_length}; give its last part"
        )
    return ids


def _write(
    trained: "TrainedModel", prompt: Sequence[int], ids: Iterable[int], max_new_tokens: int, console: Console
) -> Sample:
    """Stream one sample to the console as it is made."""
    num_tokens = 0

    def counted() -> Iterator[int]:
        nonlocal num_tokens
        yield from prompt
        for token in ids:
            num_tokens += 1
            yield token

    text = ""
    for piece in trained.tokenizer.decode_stream(counted()):
        console.stream(piece)
        text += piece
    return Sample(text, num_tokens, "length" if num_tokens == max_new_tokens else "stop")
