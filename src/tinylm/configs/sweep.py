"""A sweep file: a base configuration and the settings that its trials try. Imports neither torch nor numpy."""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from tinylm.configs.base import Table
from tinylm.configs.loader import apply_overrides, find_config, flatten, parse, read_toml, with_settings
from tinylm.errors import ConfigError

SWEEPS = "sweeps"
"""The folder of the shipped sweep files."""
SIGNIFICANT_DIGITS = 3
"""Of spaced and drawn values: enough to search with, few enough to read and to name a trial with."""

Values = dict[str, Any]
"""Settings of a trial by dotted key, as in `{"optim.lr": 1e-3}`."""
Number = int | float


class Between(Table):
    """Numbers from `low` to `high`, which are whole numbers when both ends are."""

    low: Number
    """Smallest value."""
    high: Number
    """Largest value."""
    log: bool = True
    """Whether equal ratios, and not equal differences, are equally far apart."""

    @model_validator(mode="after")
    def _ends_are_in_order(self) -> "Between":
        if self.low >= self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low {self.low} must be above 0 on a logarithmic scale; or log = false")
        return self

    def at(self, share: float) -> Number:
        """The value a share of the way from `low` (0) to `high` (1), rounded."""
        if self.log:
            value = math.exp((1 - share) * math.log(self.low) + share * math.log(self.high))
        else:
            value = (1 - share) * self.low + share * self.high
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        return round(value) if whole else float(f"{value:.{SIGNIFICANT_DIGITS}g}")


class Spaced(Between):
    """`num` values of a grid, both ends included."""

    num: Annotated[int, Field(ge=2)]
    """How many values."""

    def values(self) -> list[Number]:
        """The values, ascending."""
        return [self.at(index / (self.num - 1)) for index in range(self.num)]


def _form(value: Any) -> str:
    return "range" if isinstance(value, Mapping | Between) else "list"


Choices = Annotated[list[Any], Field(min_length=1)]
GridValues = Annotated[Annotated[Spaced, Tag("range")] | Annotated[Choices, Tag("list")], Discriminator(_form)]
SearchValues = Annotated[Annotated[Between, Tag("range")] | Annotated[Choices, Tag("list")], Discriminator(_form)]


def _dotted(values: Any) -> Any:
    """`optim.lr = 1` is a table in a table, `"optim.lr" = 1` a dotted key: both are the latter from here on."""
    return flatten(values) if isinstance(values, Mapping) else values


def _dotted_ranges(values: Any) -> Any:
    """As `_dotted`, but `{ low = .., high = .. }` is a value."""
    if not isinstance(values, Mapping):
        return values
    flat: Values = {}
    for key, value in values.items():
        nested = isinstance(value, Mapping) and not {"low", "high", "num", "log"} & value.keys()
        flat |= {f"{key}.{inner}": v for inner, v in _dotted_ranges(value).items()} if nested else {key: value}
    return flat


Settings = Annotated[Values, BeforeValidator(_dotted)]


class Point(Table):
    """Settings tried together: an ablation, or a batch size with a rate of its own."""

    name: Annotated[str, Field(pattern=r"^\w[\w.=,+-]*$")] | None = None
    """The trial's name; made from the settings when left out."""
    settings: Settings = Field(default_factory=dict)
    """All other keys of the table; none for the base as it is."""

    @model_validator(mode="before")
    @classmethod
    def _other_keys_are_settings(cls, table: Any) -> Any:
        return _gather(table, "settings", apart={"name"})


class Search(Table):
    """Random search: each trial draws every key."""

    trials: Annotated[int, Field(gt=0)]
    """How many."""
    seed: int = 0
    """Determines the draws; more trials leave the earlier ones as they were."""
    space: Annotated[dict[str, SearchValues], BeforeValidator(_dotted_ranges), Field(min_length=1)]
    """All other keys of the table: `{ low = 1e-4, high = 1e-2 }`, or a list to choose from."""

    @model_validator(mode="before")
    @classmethod
    def _other_keys_are_the_space(cls, table: Any) -> Any:
        return _gather(table, "space", apart={"trials", "seed"})

    def draws(self) -> Iterator[Values]:
        """The settings of each trial."""
        for trial in range(self.trials):
            yield {key: self._draw(values, f"{self.seed}/{key}/{trial}") for key, values in self.space.items()}

    def _draw(self, values: Between | Sequence[Any], seed: str) -> Any:
        generator = random.Random(seed)
        return values.at(generator.random()) if isinstance(values, Between) else generator.choice(values)


def _gather(table: Any, field: str, *, apart: set[str]) -> Any:
    """Move the keys of a table that are not fields of its class into one field."""
    if not isinstance(table, Mapping) or field in table:
        return table
    own = {key: value for key, value in table.items() if key in apart}
    return own | {field: {key: value for key, value in table.items() if key not in apart}}


class SweepConfig(Table):
    """Which trials to run: those of the grid, the points and the search, one after another."""

    base: str
    """The configuration that trials start from: a file, or a shipped one by name."""
    set: Settings = Field(default_factory=dict)
    """Settings that all trials share, as `--set` on the command line."""
    grid: Annotated[dict[str, GridValues], BeforeValidator(_dotted_ranges)] = Field(default_factory=dict)
    """All combinations of these: a list, or `{ low = 3e-4, high = 1e-2, num = 7 }`."""
    points: list[Point] = Field(default_factory=list)
    """One trial each."""
    search: Search | None = None
    """Random trials."""

    @field_validator("base", mode="after")
    @classmethod
    def _base_exists(cls, base: str) -> str:
        find_config(base)
        return base

    @model_validator(mode="after")
    def _has_trials(self) -> "SweepConfig":
        if not (self.grid or self.points or self.search):
            raise ValueError("nothing to try: give at least one of [grid], [[points]] and [search]")
        return self

    def settings(self) -> Iterator[tuple[str | None, Values]]:
        """A name, if one was given, and the settings of each trial in turn."""
        if self.grid:
            columns = [values.values() if isinstance(values, Spaced) else values for values in self.grid.values()]
            yield from ((None, dict(zip(self.grid, row, strict=True))) for row in product(*columns))
        yield from ((point.name, point.settings) for point in self.points)
        if self.search:
            yield from ((None, values) for values in self.search.draws())


def load_sweep_config(path: str | Path, overrides: Sequence[str] = ()) -> SweepConfig:
    """The sweep described by a TOML file, or by a shipped one's name; `key=value` overrides join its `[set]`.

    Raises: ConfigError holding every problem of the sweep file itself; those of trials are found in `trials`.
    """
    file = find_config(path, SWEEPS)
    values = read_toml(file)
    extra = flatten(apply_overrides({}, overrides))
    if extra and isinstance(values.get("set", {}), Mapping):
        shared = with_settings({}, _dotted(values.get("set", {})), source=f"{file}: [set]")
        values["set"] = apply_overrides(shared, overrides)
    sweep = parse(SweepConfig, values, source=str(file))
    swept = {key for _, settings in sweep.settings() for key in settings}
    if clash := sorted(swept & extra.keys()):
        raise ConfigError("--set", [f"{key}: the sweep itself sets it" for key in clash])
    return sweep
