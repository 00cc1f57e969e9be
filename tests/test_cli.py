"""Errors become exit codes and one plain line, in one place."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tinylm import __version__
from tinylm.cli import Group, app
from tinylm.errors import ConfigError, NegativeResultError, StoppedError, TinylmError, UsageError


def run_raising(error: BaseException) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command that raises `error`."""
    program = typer.Typer(cls=Group, pretty_exceptions_enable=False)

    @program.callback()
    def root() -> None: ...

    @program.command()
    def work() -> None:
        raise error

    result = CliRunner().invoke(program, ["work"])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("error", "exit_code", "message"),
    [
        (TinylmError("no such thing"), 1, "error: no such thing\n"),
        (UsageError("not so"), 2, "error: not so\n"),
        (ConfigError("f.toml", ["a: missing"]), 2, "error: f.toml: a: missing\n"),
        (ConfigError("f", ["a: missing", "b: no"]), 2, "error: f does not hold together:\n  a: missing\n  b: no\n"),
        (NegativeResultError("diverged"), 3, "error: diverged\n"),
        (StoppedError("saved", 15), 143, "error: saved\n"),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
        (OSError(28, "No space left on device", "x.npy"), 1, "error: x.npy: no space left on device\n"),
        (MemoryError(), 1, "error: out of memory; `tinylm memory` says what a run needs\n"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_error_is_one_line_and_an_exit_code(error: BaseException, exit_code: int, message: str) -> None:
    """Each error a user can cause has its exit code, and its message on stderr alone."""
    assert run_raising(error) == (exit_code, "", message)


def test_bug_keeps_its_traceback() -> None:
    """What is not a user's mistake is not dressed up as one."""
    assert run_raising(ZeroDivisionError("bug")) == (1, "", "")


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """TINYLM_DEBUG=1 lets every error through."""
    monkeypatch.setenv("TINYLM_DEBUG", "1")
    assert run_raising(TinylmError("no such thing")) == (1, "", "")


def test_closed_pipe_is_silent() -> None:
    """A reader that goes away, as `| head` does, is no traceback."""
    script = f"{sys.executable} -m tinylm count-flops --preset gpt2-xl --explain | head -c 1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_version() -> None:
    """`--version` prints the package's version."""
    assert CliRunner().invoke(app, ["--version"]).stdout == f"tinylm {__version__}\n"


def test_module_is_the_command(tmp_path: Path) -> None:
    """`python -m tinylm` is `tinylm`."""
    done = subprocess.run([sys.executable, "-m", "tinylm", "--version"], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == f"tinylm {__version__}\n"


def test_misspelt_command_is_exit_code_2() -> None:
    """An unknown command is a usage error with a suggestion."""
    result = CliRunner().invoke(app, ["trian"])
    assert result.exit_code == 2
    assert "train" in result.stderr
