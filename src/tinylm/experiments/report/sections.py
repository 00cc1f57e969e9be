"""What a page is made of; page.html.j2 has a piece for each."""

from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; the first column names the row."""

    template: ClassVar[str] = "table"
    title: str
    headers: list[str]
    rows: list[list[str]]
    note: str = ""
    folded: bool = False
    """Behind a line to be opened."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar."""

    name: str
    share: float | None
    """Of the longest bar; None where there is no value."""
    text: str
    comparison: str = ""


@dataclass(frozen=True, slots=True)
class Bars:
    """Values side by side."""

    template: ClassVar[str] = "bars"
    title: str
    bars: list[Bar]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a heat map."""

    text: str
    share: float | None
    """0 for the best value, 1 for the worst; None where there is no value."""


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A value for each pair of two settings."""

    template: ClassVar[str] = "heat_map"
    title: str
    row_key: str
    column_key: str
    columns: list[str]
    rows: list[tuple[str, list[Cell]]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure that charts.js draws, with its numbers as a table for those who cannot see it."""

    template: ClassVar[str] = "chart"
    title: str
    description: str
    """What the figure shows, in a sentence."""
    data: dict[str, Any]
    numbers: Table


@dataclass(frozen=True, slots=True)
class Text:
    """Lines to be shown as they are: a sample, a configuration."""

    template: ClassVar[str] = "text"
    title: str
    text: str
    folded: bool = False
    prose: bool = False


Section = Table | Bars | HeatMap | Chart | Text


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page."""

    title: str
    kind: str
    """Run, Sweep or Leaderboard."""
    findings: list[str]
    """What there is to see, in sentences."""
    sections: list[Section] = field(default_factory=list)
