"""`tinylm runs`: what has been trained here."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tinylm.commands import options
from tinylm.commands.console import Console, count_text, duration, table
from tinylm.commands.differences_table import differences_table
from tinylm.errors import TinylmError
from tinylm.files import explain_os_error

if TYPE_CHECKING:
    from tinylm.experiments.history import RunRecord


def runs(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Searched for runs, at any depth.")] = Path("runs"),
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="KEY=VALUE", help="Only runs with this setting or figure; repeatable."),
    ] = None,
    status: Annotated[
        Literal["done", "diverged", "stopped", "running", "unfinished"] | None,
        typer.Option("--status", help="Only runs of which this holds."),
    ] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Also the settings in which the runs differ.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List runs, the lowest validation loss first.

    Examples:

      tinylm runs

      tinylm runs sweeps --where optim.kind=muon --status done --compare
    """
    from tinylm.experiments.differences import differences
    from tinylm.experiments.history import conditions, filtered, find_runs

    console = Console(json=json, quiet=quiet)
    if not directory.is_dir():
        raise TinylmError(f"{directory}: no such directory; runs are where `tinylm train --out` put them")
    wanted = conditions(where or ())
    found = filtered(list(_readable(find_runs(directory), console)), wanted, status)
    names = {run.path: str(run.path.relative_to(directory)) for run in found}
    different = differences({names[run.path]: run.config for run in found})
    values = [_as_json(run) | {"differences": different[names[run.path]]} for run in found]
    text = table(
        ["run", "status", "steps", "tokens", "parameters", "valid loss", "perplexity", "bits/byte", "time"],
        [[names[run.path], *_row(run)] for run in found],
        left=2,
    )
    tables = [text, differences_table(different)] if compare else [text]
    console.result({"runs": values}, "\n\n".join(tables) if found else "no runs")


def _readable(paths: "Iterator[Path]", console: Console) -> "Iterator[RunRecord]":
    """The runs, without those that cannot be read, which are named."""
    from tinylm.experiments.history import read_run

    for path in paths:
        try:
            yield read_run(path)
        except TinylmError as error:
            console.warn(f"left out: {error}")
        except OSError as error:
            console.warn(f"left out: {explain_os_error(error)}")


def _as_json(run: "RunRecord") -> dict[str, Any]:
    figures = {key: value for key, value in run.figures.items() if key != "schema"}
    return {
        **figures,
        "run": str(run.path),
        "status": run.status,
        "num_parameters": run.num_parameters,
    }


def _row(run: "RunRecord") -> list[str]:
    figures = run.figures
    return [
        run.status,
        f"{figures['steps']:,}",
        count_text(figures["tokens"]),
        count_text(run.num_parameters),
        _decimals(figures.get("valid_loss"), 4),
        _decimals(figures.get("valid_perplexity"), 2),
        _decimals(figures.get("bits_per_byte"), 4),
        duration(figures["seconds"]),
    ]


def _decimals(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
