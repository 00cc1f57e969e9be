"""The `tinylm` command: one line per subcommand, and the one place where errors become exit codes."""

import os
import signal
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import tinylm
from tinylm.commands.count_flops import count_flops
from tinylm.commands.decode import decode
from tinylm.commands.demo import demo
from tinylm.commands.encode import encode
from tinylm.commands.leaderboard import leaderboard
from tinylm.commands.make_stories import make_stories
from tinylm.commands.memory import memory
from tinylm.commands.report import report
from tinylm.commands.runs import runs
from tinylm.commands.sample import sample
from tinylm.commands.signals import terminate, terminations
from tinylm.commands.sweep import sweep
from tinylm.commands.train import train
from tinylm.commands.train_bpe import train_bpe
from tinylm.errors import TinylmError
from tinylm.files import explain_os_error


class Group(TyperGroup):
    """A command group whose mistakes are one plain line on stderr and the right exit code."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # Typer's own context class
        """Run the subcommand; see `tinylm.errors` for which error means which exit code."""
        if os.environ.get("TINYLM_DEBUG"):
            return super().invoke(ctx)
        try:
            return super().invoke(ctx)
        except TinylmError as error:
            raise fail(str(error), error.exit_code) from error
        except KeyboardInterrupt as error:
            raise fail("interrupted", 128 + signal.SIGINT) from error
        except BrokenPipeError as error:  # the reader of our output went away, as `| head` does
            sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115  # so that the exit's flush succeeds
            raise typer.Exit(1) from error
        except OSError as error:
            raise fail(explain_os_error(error), 1) from error
        except MemoryError as error:
            raise fail("out of memory; `tinylm memory` says what a run needs", 1) from error


def fail(message: str, exit_code: int) -> typer.Exit:
    """Say what went wrong; the caller raises what is returned."""
    typer.echo(f"error: {message}", err=True)
    return typer.Exit(exit_code)


app = typer.Typer(
    name="tinylm",
    cls=Group,
    help="From a text file to a small language model that writes, and exactly what it cost.",
    epilog="Start here: tinylm demo",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def show_version(asked: bool) -> None:
    """`tinylm --version`."""
    if asked:
        typer.echo(f"tinylm {tinylm.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=show_version, is_eager=True),
    ] = False,
) -> None:
    """From a text file to a small language model that writes, and exactly what it cost."""


app.command("demo")(demo)
app.command("make-stories")(make_stories)
app.command("train-bpe")(train_bpe)
app.command("encode")(encode)
app.command("decode")(decode)
app.command("train")(train)
app.command("sample")(sample)
app.command("sweep")(sweep)
app.command("runs")(runs)
app.add_typer(leaderboard)
app.command("report")(report)
app.command("count-flops")(count_flops)
app.command()(memory)


def main() -> None:
    """Entry point of the installed command."""
    for number in terminations():
        signal.signal(number, terminate)
    app()
