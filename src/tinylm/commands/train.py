"""`tinylm train`: a configuration becomes a run directory."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tinylm.commands import options
from tinylm.commands.console import Console
from tinylm.commands.signals import StopRequest
from tinylm.commands.torch_environment import prepare_torch_environment
from tinylm.commands.train_report import draw_curve, end_text, follow
from tinylm.errors import NegativeResultError

if TYPE_CHECKING:
    from tinylm.configs.run import RunConfig


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
    profile: Annotated[
        int, typer.Option("--profile", metavar="N", min=0, help="Trace N steps of the run, and list where time goes.")
    ] = 0,
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
        _train(run_config, out or Path("runs") / Path(config).stem, console, force=force, profile_steps=profile)


def _train(config: "RunConfig", out: Path, console: Console, *, force: bool, profile_steps: int) -> None:
    prepare_torch_environment()
    from tinylm.training.run import train_run
    from tinylm.training.run_directory import RunDirectory

    stop = StopRequest()
    with console.progress("training", 1.0) as advance, stop:
        reports = train_run(config, out, force=force, should_stop=stop.asked, profile_steps=profile_steps)
        end = follow(reports, console, advance)
    run = RunDirectory(out)
    console.result(asdict(end), end_text(end, draw_curve(run, unicode=console.unicode)))
    if end.status == "diverged":
        kept = (
            "the last good checkpoint is kept" if any(run.checkpoints.glob("step-*")) else "no checkpoint was due yet"
        )
        raise NegativeResultError(
            f"{out}: diverged at step {end.steps}; {kept}. "
            "A lower learning rate or a longer warm-up usually helps: --set optim.lr=... --force"
        )
    if end.status == "stopped":
        raise stop.error(out)
