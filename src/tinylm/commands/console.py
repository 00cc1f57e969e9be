"""How commands talk: results on stdout, everything else on stderr. The only module that uses rich."""

import codecs
import contextlib
import functools
import json as json_lib
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import typer

from tinylm.files import json_text

SCHEMA = 1
PLAIN_PROGRESS_SECONDS = 10.0


class Advance(Protocol):
    """Tell a progress display how far the work is."""

    def __call__(self, completed: float, message: str = "", /) -> None:
        """`completed` is in the unit of the display's total; `message` holds figures worth seeing."""


class Console:
    """One command's voice: `--json` makes the result an object, `--quiet` drops notes and progress."""

    def __init__(self, *, json: bool = False, quiet: bool = False) -> None:
        self.json = json
        self.quiet = quiet
        self._say: Callable[[str], None] = to_stderr

    def result(self, values: Mapping[str, Any], text: str) -> None:
        """Print the result: `values` under `--json`, else `text` for a person."""
        if self.json:
            line = json_text({"schema": SCHEMA} | dict(values))
            typer.echo(line if self.unicode else json_lib.dumps(json_lib.loads(line)))
        elif text:
            typer.echo(writable(text))

    def stream(self, text: str) -> None:
        """Part of a result for a person, shown as it is made; nothing under `--json`, whose object comes whole."""
        if not self.json:
            typer.echo(writable(text), nl=False)

    @property
    def unicode(self) -> bool:
        """Whether stdout takes any character."""
        return codecs.lookup(stdout_encoding()).name.startswith("utf")

    def note(self, text: str) -> None:
        """Something worth knowing, on stderr."""
        if not self.quiet:
            self._say(text)

    def warn(self, text: str) -> None:
        """Something to act on, on stderr, `--quiet` or not."""
        self._say(f"warning: {text}")

    @contextlib.contextmanager
    def progress(self, label: str, total: float | None) -> Iterator[Advance]:
        """A bar on a terminal, else a plain line every ten seconds; nothing when quiet."""
        if self.quiet:
            yield silent
        elif sys.stderr.isatty():
            with _bar(label, total) as (advance, self._say):
                yield advance
            self._say = to_stderr
        else:
            yield PlainProgress(label, total)

    @contextlib.contextmanager
    def live(self) -> Iterator[Callable[[str], None]]:
        """Show a block of text that changes in place; nothing when quiet or not on a terminal."""
        if self.quiet or not sys.stderr.isatty():
            yield lambda _text: None
            return
        from rich.console import Console as RichConsole
        from rich.live import Live
        from rich.text import Text

        with Live(console=RichConsole(stderr=True), transient=True) as screen:
            yield lambda text: screen.update(Text(text, no_wrap=True))


def stdout_encoding() -> str:
    """That of the terminal, the locale, or PYTHONIOENCODING."""
    return sys.stdout.encoding or "utf-8"


def writable(text: str) -> str:
    """`text` with escapes for what stdout's encoding lacks, as Python writes them to stderr by itself."""
    return text.encode(stdout_encoding(), "backslashreplace").decode(stdout_encoding())


def to_stderr(text: str) -> None:
    """A line on stderr, where nothing else is being shown."""
    typer.echo(text, err=True)


def silent(_completed: float, _message: str = "") -> None:
    """An `Advance` that shows nothing."""


class PlainProgress:
    """Progress for pipes and log files: one line every `PLAIN_PROGRESS_SECONDS`."""

    def __init__(self, label: str, total: float | None) -> None:
        self.label = label
        self.total = total
        self.started = self.last = time.monotonic()
        self.completed_at_start: float | None = None

    def __call__(self, completed: float, message: str = "") -> None:
        """See `Advance`."""
        now = time.monotonic()
        if self.completed_at_start is None:
            self.started, self.completed_at_start = now, completed
        if now - self.last < PLAIN_PROGRESS_SECONDS:
            return
        self.last = now
        parts = [self.label]
        if self.total:
            parts.append(f"{completed / self.total:.0%}")
            gained = completed - self.completed_at_start
            if gained > 0:
                parts.append(f"{duration((now - self.started) * (self.total - completed) / gained)} left")
        typer.echo("  ".join([*parts, message]).rstrip(), err=True)


@contextlib.contextmanager
def _bar(label: str, total: float | None) -> Iterator[tuple[Advance, Callable[[str], None]]]:
    """A bar in the terminal's last line, and how to write lines above it."""
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TextColumn("{task.fields[message]}"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=RichConsole(stderr=True), transient=True, expand=True) as bar:
        task = bar.add_task(label, total=total, message="")

        def advance(completed: float, message: str = "") -> None:
            bar.update(task, completed=completed, message=message)

        yield advance, functools.partial(bar.console.print, markup=False, highlight=False, soft_wrap=True)


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "", left: int = 1) -> str:
    """A plain aligned table that reads well in a terminal and in a pipe; the first `left` columns are left-aligned."""
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join(padded).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([*([title] if title else []), line(headers), rule, *map(line, rows)])


def duration(seconds: float) -> str:
    """`75` -> `1m15s`: at most two units, largest first."""
    if not math.isfinite(seconds):
        return "?"
    if seconds < 60:
        return f"{seconds:.1f}s" if seconds < 10 else f"{seconds:.0f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours}h{minutes:02d}m"
    days, hours = divmod(hours, 24)
    return f"{days:,}d{hours:02d}h" if days < 365 else f"{days / 365.25:,.1f} years"


def bytes_text(count: float) -> str:
    """`8508230400` -> `8.51 GB` (decimal units, as file sizes and the literature use)."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(count) < 1000 or unit == "TB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.2f} {unit}"
        count /= 1000
    raise AssertionError


def count_text(count: float) -> str:
    """`35938816` -> `35.94M`."""
    for unit in ("", "k", "M", "B"):
        if abs(count) < 1000:
            return f"{count:.0f}" if not unit else f"{count:.2f}{unit}"
        count /= 1000
    return f"{count:.2f}T"
