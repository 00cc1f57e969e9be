"""`tinylm sweep`: many runs from one file, and what they show together."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tinylm.commands import options
from tinylm.commands.console import Console
from tinylm.commands.sweep_tables import SweepProgress, loss_text, results_text, show_plan
from tinylm.errors import TinylmError

if TYPE_CHECKING:
    from tinylm.experiments.trials import Trial, TrialResult


def sweep(
    config: Annotated[
        str, typer.Option("--config", metavar="SWEEP", help="A sweep file, or the name of a shipped one.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the runs and results go.")],
    set_: options.Set = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", min=1, help="Trials at a time; the losses do not depend on it. Default: see below."),
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="CPU threads of each trial.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check every trial, list them, stop.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train once for each combination of settings; run the same command again to go on after any interruption.

    Each trial is an ordinary run, DIR/NAME. By default there are as many jobs as this process has CPU cores for, or a
    single one on a GPU and where trials have a budget of time.

    Examples:

      tinylm sweep --config learning-rate-cpu --out sweeps/lr

      tinylm sweep --config ablations --set data.train=my.npy --out sweeps/ablations
    """
    from tinylm.configs.sweep import load_sweep_config
    from tinylm.experiments.sweep import check_trials
    from tinylm.experiments.trials import plan_trials

    trials = plan_trials(load_sweep_config(config, set_ or ()))
    console = Console(json=json, quiet=quiet)
    check_trials(trials, out)
    if dry_run:
        show_plan(trials, console)
        return
    environment = dict(os.environ) | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    _run(trials, out, jobs or default_jobs(trials, threads), environment, console)


def default_jobs(trials: "Sequence[Trial]", threads: int) -> int:
    """As many as there are cores for, where trials share neither a GPU nor the clock that ends them."""
    from tinylm.training.cores import available_cores
    from tinylm.training.device import choose_device

    settings = [trial.config.train for trial in trials]
    if any(train.steps is None or choose_device(train.device).type != "cpu" for train in settings):
        return 1
    return max(1, min(len(trials), int(available_cores()) // threads))


def _run(trials: "Sequence[Trial]", out: Path, jobs: int, environment: Mapping[str, str], console: Console) -> None:
    from tinylm.experiments.results import summarize, write_results
    from tinylm.experiments.sweep import run_sweep

    results: list[TrialResult] = []
    progress = SweepProgress()
    with console.live() as show:
        for states in run_sweep(trials, out, jobs=jobs, environment=environment):
            show(progress.block(states))
            results, before = [state.result() for state in states], results
            if results != before:
                write_results(out, results)
                _note_changes(before, results, console)
    console.result(summarize(results), results_text(results, out))
    failed = [f"  {result.name}: {result.message}" for result in results if result.status == "failed"]
    if failed:
        raise TinylmError("\n".join([f"{len(failed)} of {len(results)} trials failed", *failed]))


def _note_changes(before: "Sequence[TrialResult]", results: "Sequence[TrialResult]", console: Console) -> None:
    """One line for each trial that started or ended."""
    was = {result.name: result.status for result in before}
    for result in results:
        if result.status not in {"waiting", was.get(result.name)}:
            console.note(f"{result.name}: {_status_text(result)}")


def _status_text(result: "TrialResult") -> str:
    if result.valid_loss is None:
        return f"{result.status} {result.message}".rstrip()
    return f"{result.status}, valid loss {loss_text(result.valid_loss)}"
