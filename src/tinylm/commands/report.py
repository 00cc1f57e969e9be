"""`tinylm report`: a page that opens anywhere."""

from pathlib import Path
from typing import Annotated

import typer

from tinylm.commands import options
from tinylm.commands.console import Console, bytes_text
from tinylm.files import refuse_to_overwrite


def report(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The directory of a run, a sweep or a leaderboard.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The page.")] = Path("report.html"),
    png: Annotated[bool, typer.Option("--png", help="Also the figures as pictures, beside the page.")] = False,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write one HTML page: curves, tables, samples, settings. It holds all it needs and works without a network.

    Examples:

      tinylm report runs/first --out first.html

      tinylm report sweeps/lr --out lr.html --png
    """
    console = Console(json=json, quiet=quiet)
    refuse_to_overwrite(out, force)
    written = write_report(path, out, png=png, force=force)
    lines = [f"{file} ({bytes_text(file.stat().st_size)})" for file in written]
    console.result({"out": str(out), "pictures": [str(file) for file in written[1:]]}, "\n".join(lines))


def write_report(path: Path, out: Path, *, png: bool, force: bool) -> list[Path]:
    """The files written, the page first. Raises: UsageError before the first when one is there already."""
    from tinylm.experiments.report.page import page_of, write_page
    from tinylm.experiments.report.pictures import picture_files, save_picture

    page = page_of(path)
    pictures = picture_files(page, out) if png else {}
    for file in pictures:
        refuse_to_overwrite(file, force)
    write_page(page, out)
    for file, figure in pictures.items():
        save_picture(figure, file)
    return [out, *pictures]
