"""`tinylm train`: a configuration becomes a run directory."""

import signal
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from tinylm.commands import options
from tinylm.commands.console import Advance, Console, count_text, duration
from tinylm.errors import NegativeResultError, StoppedError

if TYPE_CHECKING:
    from tinylm.configs.run import RunConfig
    from tinylm.training.reports import EndReport, Report, StepReport
    from tinylm.training.run_directory import RunDirectory


def train(
    config: Annotated[str, typer.Option("--config", metavar="FILE", help="A TOML file, or the name of a shipped one.")],
    set_: options.Set = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="RUN", help="Run directory. Default: runs/CONFIG.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, say what it will cost, stop.")] = False,
    print_config: Annotated[bool, typer.Option("--print-config", help="Print the resolved TOML and stop.")] = False,
    no_rope: Annotated[bool, typer.Option("--no-rope", help="model.position=none")] = False,
    no_rmsnorm: Annotated[bool, typer.Option("--no-rmsnorm", help="model.norm=none")] = False,
    post_norm: Annotated[bool, typer.Option("--post-norm", help="model.norm_placement=post")] = False,
    ffn_silu: Annotated[bool, typer.Option("--ffn-silu", help="model.feed_forward=silu")] = False,
    weight_tying: Annotated[bool, typer.Option("--weight-tying", help="model.tie_embeddings=true")] = False,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a model; run the same command again to resume.

    Examples:

      tinylm train --config tinystories-cpu --out runs/first

      tinylm train --config owt --set optim.lr=1e-3 --dry-run
    """
    from tinylm.configs.loader import load_run_config, to_toml

    shorthands = {
        "model.position=none": no_rope,
        "model.norm=none": no_rmsnorm,
        "model.norm_placement=post": post_norm,
        "model.feed_forward=silu": ffn_silu,
        "model.tie_embeddings=true": weight_tying,
    }
    run_config = load_run_config(config, [*(set_ or ()), *(key for key, given in shorthands.items() if given)])
    console = Console(json=json, quiet=quiet)
    if print_config:
        console.result({"config": run_config.model_dump()}, to_toml(run_config).rstrip())
    elif dry_run:
        from tinylm.commands.plan import show_plan

        show_plan(run_config, console)
    else:
        _train(run_config, out or Path("runs") / Path(config).stem, console, force=force)


def _train(config: "RunConfig", out: Path, console: Console, *, force: bool) -> None:
    from tinylm.training.run import train_run
    from tinylm.training.run_directory import RunDirectory

    stop = StopRequest()
    with console.progress("training", 1.0) as advance, stop:
        end = _follow(train_run(config, out, force=force, should_stop=stop.asked), console, advance)
    console.result(asdict(end), _end_text(end, _draw_curve(RunDirectory(out))))
    if end.status == "diverged":
        raise NegativeResultError(
            f"{out}: diverged at step {end.steps}; the last good checkpoint is kept. "
            "A lower learning rate or a longer warm-up usually helps: --set optim.lr=... --force"
        )
    if end.status == "stopped":
        raise stop.error(out)


def _follow(reports: "Iterable[Report]", console: Console, advance: Advance) -> "EndReport":
    """Show each report as it comes; returns the last."""
    from tinylm.training import reports as kinds

    for report in reports:
        match report:
            case kinds.StartReport():
                console.note(f"{count_text(report.num_parameters)} parameters on {report.device}, {report.precision}")
                for note in report.notes:
                    console.note(f"  {note}")
                advance(report.fraction)
            case kinds.StepReport():
                advance(report.fraction, _step_text(report))
            case kinds.EvaluationReport():
                console.note(
                    f"step {report.step}: valid loss {report.valid_loss:.4f}, perplexity {report.valid_perplexity:.2f}"
                )
            case kinds.SampleReport():
                console.note(f"step {report.step}: {report.text}")
            case kinds.CheckpointReport():
                pass
            case kinds.EndReport():
                return report
    raise AssertionError("a run ends with an EndReport")


def _step_text(report: "StepReport") -> str:
    """The figures beside the progress bar."""
    return f"step {report.step:,}  loss {report.loss:.3f}  {report.tokens_per_second:,.0f} tokens/s"


class StopRequest:
    """Turns the first Ctrl-C or SIGTERM into a wish to stop after the step; the second one stops at once."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __enter__(self) -> "StopRequest":
        self._previous = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def asked(self) -> bool:
        """Whether a signal has arrived."""
        return self.signal is not None

    def error(self, out: Path) -> StoppedError:
        """What to raise once everything is saved."""
        assert self.signal is not None
        return StoppedError(f"stopped; {out} is saved, run the same command to go on", self.signal)

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)


def _end_text(end: "EndReport", curve: str) -> str:
    """What a person wants to know when a run ends."""
    lines = [
        f"{end.status}: {end.steps:,} steps, {count_text(end.tokens)} tokens in {duration(end.seconds)} "
        f"({end.tokens_per_second:,.0f} tokens/s, MFU {end.mfu:.0%})",
        ("train loss not finite" if end.train_loss is None else f"train loss {end.train_loss:.4f}") + _valid_text(end),
    ]
    if curve:
        lines += ["", curve]
    if end.status == "done":
        lines += ["", f'next: tinylm sample {end.run} --prompt "Once upon a time"']
    return "\n".join(lines)


def _valid_text(end: "EndReport") -> str:
    if end.valid_loss is None or end.valid_perplexity is None:
        return ""
    text = f"   valid loss {end.valid_loss:.4f}   perplexity {end.valid_perplexity:.2f}"
    text += f"   {end.bits_per_byte:.4f} bits/byte" if end.bits_per_byte is not None else ""
    return f"{text}   ({end.valid_tokens:,} tokens)"


def _draw_curve(run: "RunDirectory") -> str:
    """Save the learning curve as a picture; returns it as text, with the picture's path."""
    from tinylm.training.curves import save_learning_curve, text_curve

    metrics = run.metrics()
    picture = run.path / "learning-curve.png"
    save_learning_curve(metrics, picture)
    return f"{text_curve(metrics)}\n{picture}"
