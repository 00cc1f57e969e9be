"""`tinylm demo`: every command of the pipeline in turn, on text that it makes itself.

Each stage is a process of its own, started from the line that is shown: what the demo does is what a user would get by
typing it, with its progress, its errors and its exit code, and a finished stage gives its memory back.
"""

import contextlib
import json as json_lib
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from tinylm.commands import options
from tinylm.commands.console import Console, duration, table
from tinylm.commands.signals import terminations
from tinylm.errors import TinylmError

CONFIG = "demo"
PIPELINE = """
Stories to learn from
tinylm make-stories --size 5MB --seed 0 --out {out}/train.txt

Other stories, to measure on
tinylm make-stories --size 200kB --seed 1 --out {out}/valid.txt

A vocabulary of tokens
tinylm train-bpe {out}/train.txt --vocab-size {vocab_size} --special-token '<|endoftext|>' --out {out}/tokenizer

The stories as tokens
tinylm encode {out}/train.txt --tokenizer {out}/tokenizer --out {out}/train.npy

The other stories as tokens
tinylm encode {out}/valid.txt --tokenizer {out}/tokenizer --out {out}/valid.npy

The model
tinylm train --config {config}{data} --out {out}/run

New stories
tinylm sample {out}/run --prompt 'Once upon a time' --temperature 0.5 --num-samples 3
"""
NEXT = """
Next, with text of your own in mine.txt, of which a twentieth is kept for measuring:

  tinylm train-bpe mine.txt --vocab-size 2000 --out mine/tokenizer
  tinylm encode mine.txt --tokenizer mine/tokenizer --shard 1-19/20 --out mine/train.npy
  tinylm encode mine.txt --tokenizer mine/tokenizer --shard 20/20 --out mine/valid.npy
  tinylm train --config {config} --set data.train=mine/train.npy --set data.valid=mine/valid.npy \\
      --set data.tokenizer=mine/tokenizer --out mine/run
  tinylm sample mine/run --prompt 'The'
"""

Out = Annotated[Path, typer.Option(metavar="DIR", help="Where everything goes.")]


@dataclass(frozen=True, slots=True)
class Stage:
    """A command as a user would type it, and what it is for."""

    title: str
    command: str

    @property
    def arguments(self) -> list[str]:
        """The command's words without `tinylm`."""
        return shlex.split(self.command)[1:]

    @property
    def product(self) -> Path | None:
        """What the command leaves on disk."""
        words = self.arguments
        return Path(words[words.index("--out") + 1]) if "--out" in words else None

    @property
    def resumes(self) -> bool:
        """Whether the command itself goes on where it was interrupted, or sees that it is done."""
        return self.arguments[0] == "train"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a stage."""

    title: str
    command: str
    seconds: float = 0.0
    skipped: bool = False
    result: dict[str, Any] | None = None
    """The object that the command printed, under --json."""


def demo(
    out: Out = Path("demo"), force: options.Force = False, json: options.Json = False, quiet: options.Quiet = False
) -> None:
    """Train a small language model from nothing, in about two minutes on two cores.

    Makes stories, learns a tokenizer, trains a model and lets it write, and shows the command for each. What an
    earlier demo finished is kept; a training that was interrupted goes on.

    Examples:

      tinylm demo

      tinylm demo --out /tmp/demo --force
    """
    console = Console(json=json, quiet=quiet)
    outcomes = list(run_stages(pipeline(out), console, force=force))
    console.result(values_of(outcomes, out), summary(outcomes, out))


def pipeline(out: Path) -> list[Stage]:
    """The stages in their order. Paths that the configuration has anyway are left out of the `train` command."""
    from tinylm.configs.loader import load_run_config

    config = load_run_config(CONFIG)
    paths = {"train": out / "train.npy", "valid": out / "valid.npy", "tokenizer": out / "tokenizer"}
    data = "".join(
        f" --set data.{key}={shlex.quote(str(path))}"
        for key, path in paths.items()
        if getattr(config.data, key) != str(path)
    )
    text = PIPELINE.format(out=shlex.quote(str(out)), config=CONFIG, data=data, vocab_size=config.model.vocab_size)
    return [Stage(*block.splitlines()) for block in text.strip().split("\n\n")]


def run_stages(stages: Sequence[Stage], console: Console, *, force: bool) -> Iterator[Outcome]:
    """Run one stage after another; what exists is kept, unless `force` or something before it was made anew."""
    anew = force
    for number, stage in enumerate(stages, start=1):
        console.note(f"\n{number}/{len(stages)}  {stage.title}\n$ {stage.command}")
        exists = stage.product is not None and stage.product.exists()
        if exists and not anew and not stage.resumes:
            console.note(f"{stage.product} is there already and is kept; --force makes everything anew")
            yield Outcome(stage.title, stage.command, skipped=True)
            continue
        flags = {"--force": exists and anew, "--json": console.json, "--quiet": console.quiet}
        started = time.perf_counter()
        output = call([*stage.arguments, *(flag for flag, given in flags.items() if given)], capture=console.json)
        seconds = time.perf_counter() - started
        yield Outcome(stage.title, stage.command, seconds, result=json_lib.loads(output) if output else None)
        anew = anew or not exists


def call(arguments: Sequence[str], *, capture: bool) -> str | None:
    """Run a tinylm command, on our standard output or with that captured and returned.

    Raises: typer.Exit with the command's exit code, for it has said what is wrong; TinylmError when it was killed.
    """
    command = [sys.executable, "-m", "tinylm", *arguments]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE if capture else None, text=True) as process,
        signals_left_to(process),
    ):
        output, _ = process.communicate()
    if process.returncode < 0:
        raise TinylmError(f"`tinylm {arguments[0]}` was killed by signal {-process.returncode}; the rest is kept")
    if process.returncode:
        raise typer.Exit(process.returncode)
    return output


@contextlib.contextmanager
def signals_left_to(process: "subprocess.Popen[str]") -> Iterator[None]:
    """Let a command that is told to stop save its work first, and wait for it.

    A terminal sends Ctrl-C to the command as well as to us, so there it is enough not to die; the end is passed on.
    """

    def wait(_number: int, _frame: FrameType | None) -> None:
        """Not SIG_IGN, which a child would inherit."""

    def pass_on(_number: int, _frame: FrameType | None) -> None:
        process.terminate()

    handlers = {signal.SIGINT: wait, **dict.fromkeys(terminations(), pass_on)}
    previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def values_of(outcomes: Sequence[Outcome], out: Path) -> dict[str, Any]:
    """The result as data: the stages, and what the model came to."""
    trained, sampled = (outcome.result or {} for outcome in outcomes[-2:])
    final = {key: trained.get(key) for key in ("steps", "tokens", "valid_loss", "valid_perplexity", "bits_per_byte")}
    return {
        "stages": [asdict(outcome) for outcome in outcomes],
        "seconds": sum(outcome.seconds for outcome in outcomes),
        **final,
        "samples": sampled.get("samples"),
        "out": str(out),
    }


def summary(outcomes: Sequence[Outcome], out: Path) -> str:
    """The result for a person: how long each stage took, where everything is, and what to type next."""
    rows = [[outcome.title, "kept" if outcome.skipped else duration(outcome.seconds)] for outcome in outcomes]
    total = duration(sum(outcome.seconds for outcome in outcomes))
    times = table(["stage", "time"], [*rows, ["together", total]])
    picture = f"Everything is in {out}, the learning curve in {out / 'run' / 'learning-curve.png'}."
    return f"\n{times}\n\n{picture}\n{NEXT.format(config=CONFIG).rstrip()}"
