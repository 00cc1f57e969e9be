"""From a run, a sweep or a leaderboard to one file of HTML that needs nothing else."""

from pathlib import Path

import jinja2

import tinylm
from tinylm.errors import TinylmError
from tinylm.experiments.report.board_page import board_page
from tinylm.experiments.report.run_page import run_page
from tinylm.experiments.report.sections import Page
from tinylm.experiments.report.sweep_page import sweep_page
from tinylm.experiments.results import RESULTS
from tinylm.files import json_text, write_text

HERE = Path(__file__).parent


def page_of(path: Path) -> Page:
    """The page of whatever `path` is. Raises: TinylmError when it is nothing that has one."""
    if (path / "board.toml").is_file():
        return board_page(path)
    if (path / RESULTS).is_file():
        return sweep_page(path)
    if (path / "config.toml").is_file():
        return run_page(path)
    raise TinylmError(f"{path}: neither a run nor a sweep nor a leaderboard (no config.toml, {RESULTS} or board.toml)")


def html(page: Page) -> str:
    """The page as HTML, with style and script inside."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["json_data"] = json_data
    return templates.get_template("page.html.j2").render(
        page=page,
        version=tinylm.__version__,
        style=(HERE / "report.css").read_text(encoding="utf-8"),
        script=(HERE / "charts.js").read_text(encoding="utf-8"),
    )


def json_data(value: object) -> str:
    """JSON that cannot end the script element it stands in."""
    return json_text(value).replace("<", "\\u003c")


def write_page(page: Page, out: Path) -> None:
    """Replace the file at `out`."""
    write_text(out, html(page))
