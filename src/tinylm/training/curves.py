"""The learning curve of a run as a picture and as text, from the records of its `metrics.jsonl`."""

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinylm.files import atomic_file

Metrics = Iterable[Mapping[str, Any]]
Points = list[tuple[int, float]]
"""(step, loss in nats per token), in the order of the steps."""

SMOOTHED_SHARE = 0.03
"""The smoothed loss is a mean over this share of the run."""
PICTURE_INCHES = (8.0, 4.5)
MARGIN = 8
"""Characters left of the text curve's axis, for the loss."""


class Curves(NamedTuple):
    """What there is to draw."""

    train: Points
    smoothed: Points
    valid: Points


def curves(metrics: Metrics) -> Curves:
    """The finite losses among the records."""
    records = list(metrics)
    train = finite_points(records, "loss")
    return Curves(train, smooth(train), finite_points(records, "valid_loss"))


def finite_points(metrics: Metrics, key: str) -> Points:
    """(step, value) of the records that have a finite number under `key`; a diverged step has null there."""
    pairs = ((record["step"], record.get(key)) for record in metrics)
    return [(step, float(value)) for step, value in pairs if value is not None and math.isfinite(value)]


def smooth(points: Points) -> Points:
    """The mean over a window centred on each point: unlike a running average it does not lag behind."""
    sums = [0.0, *accumulate(loss for _, loss in points)]
    reach = round(SMOOTHED_SHARE * len(points) / 2)
    smoothed = []
    for index, (step, _) in enumerate(points):
        first, last = max(0, index - reach), min(len(points), index + reach + 1)
        smoothed.append((step, (sums[last] - sums[first]) / (last - first)))
    return smoothed


def save_learning_curve(metrics: Metrics, path: str | Path) -> None:
    """Draw training and validation loss over steps; the suffix of `path` (.png, .svg, .pdf) chooses the format."""
    from matplotlib.figure import Figure  # the object interface: no pyplot, no display, no global state

    train, smoothed, valid = curves(metrics)
    figure = Figure(figsize=PICTURE_INCHES, dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.plot(*_columns(train), color="tab:blue", alpha=0.25, linewidth=0.8, label="training")
    axes.plot(*_columns(smoothed), color="tab:blue", linewidth=1.6, label="training, smoothed")
    axes.plot(*_columns(valid), color="tab:orange", marker="o", markersize=4, linewidth=1.2, label="validation")
    if valid:
        step, loss = valid[-1]
        axes.annotate(f"{loss:.3f}", (step, loss), xytext=(0, 8), textcoords="offset points", ha="center")
    axes.set(xlabel="step", ylabel="loss (nats per token)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    with atomic_file(path) as stream:
        figure.savefig(stream, format=Path(path).suffix.removeprefix("."))


def _columns(points: Points) -> tuple[list[int], list[float]]:
    return [step for step, _ in points], [loss for _, loss in points]


class Glyphs(NamedTuple):
    """The characters of a text curve. A cell holds several dots: each is a bit, and their sum chooses the character."""

    dots: tuple[tuple[int, ...], ...]
    """The bit of each dot, by row and column."""
    cells: str
    """The character for each sum of bits."""
    line: str
    valid: str
    wall: str
    tick: str
    floor: str
    corner: str


BRAILLE = " " + "".join(map(chr, range(0x2801, 0x2900)))
UNICODE = Glyphs(((1, 8), (2, 16), (4, 32), (64, 128)), BRAILLE, "⠤⠤", "●", "│", "┤", "─", "└")
ASCII = Glyphs(((1,),), " *", "**", "o", "|", "+", "-", "+")


class Axis(NamedTuple):
    """A range of values spread over a number of places."""

    low: float
    high: float
    places: int

    def place(self, value: float) -> int:
        """Where `value` is: 0 for `low`, places - 1 for `high`."""
        return round((value - self.low) / (self.high - self.low) * (self.places - 1))

    def values(self) -> list[float]:
        """The value at each place."""
        return [self.low + (self.high - self.low) * place / (self.places - 1) for place in range(self.places)]

    def ticks(self, most: int) -> list[float]:
        """At most `most` + 1 round numbers in the range: multiples of 1, 2 or 5 times a power of ten."""
        smallest = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(smallest))
        spacing = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= smallest)
        return [spacing * n for n in range(math.ceil(self.low / spacing), math.floor(self.high / spacing) + 1)]


def text_curve(metrics: Metrics, width: int = 72, height: int = 16, *, unicode: bool = True) -> str:
    """Smoothed training loss as a line, validation losses as points: `height` lines of at most `width` characters.

    Empty when there is no finite loss to draw.
    """
    _, smoothed, valid = curves(metrics)
    if not smoothed + valid:
        return ""
    glyphs = UNICODE if unicode else ASCII
    steps = _axis([0, *(step for step, _ in smoothed + valid)], width - MARGIN - 1)
    losses = _axis([loss for _, loss in smoothed + valid], height - 3)
    canvas = _draw(smoothed, valid, steps, losses, glyphs)
    legend = f"loss (nats per token): {glyphs.line} training, smoothed  {glyphs.valid} validation"
    return "\n".join([legend, *_beside_loss_axis(canvas, losses, glyphs), *_step_axis(steps, glyphs)])


def _axis(values: list[float], places: int) -> Axis:
    low, high = min(values), max(values)
    margin = max(0.5, abs(low) / 100) if low == high else 0.0  # as far as floats of that size can tell apart
    return Axis(low - margin, high + margin, places)


def _draw(line: Points, marks: Points, steps: Axis, losses: Axis, glyphs: Glyphs) -> list[list[str]]:
    """Characters by row, the lowest first, and column: a line through some points, and marks on others."""
    down, across = len(glyphs.dots), len(glyphs.dots[0])
    fine_steps = steps._replace(places=steps.places * across)
    fine_losses = losses._replace(places=losses.places * down)
    bits = [[0] * steps.places for _ in range(losses.places)]
    for x, heights in enumerate(_heights(line, fine_steps, fine_losses)):
        for y in heights:
            bits[y // down][x // across] |= glyphs.dots[-1 - y % down][x % across]
    canvas = [[glyphs.cells[sum_of_bits] for sum_of_bits in row] for row in bits]
    for step, loss in marks:
        canvas[fine_losses.place(loss) // down][fine_steps.place(step) // across] = glyphs.valid
    return canvas


def _heights(points: Points, steps: Axis, losses: Axis) -> Iterator[range]:
    """For each column of dots, the rows that the line fills there: from the height before it to its own."""
    if not points:
        return
    last = None
    for loss in np.interp(steps.values(), *_columns(points)):
        y = losses.place(loss)
        last = y if last is None else last
        yield range(min(y, last + 1), max(y, last - 1) + 1)
        last = y


def _beside_loss_axis(canvas: list[list[str]], losses: Axis, glyphs: Glyphs) -> Iterator[str]:
    """The canvas from the top row down, with round losses on the left."""
    labels = {losses.place(tick): f"{tick:{MARGIN - 1}.4g} {glyphs.tick}" for tick in losses.ticks(5)}
    blank = " " * MARGIN + glyphs.wall
    for y in reversed(range(losses.places)):
        yield (labels.get(y, blank) + "".join(canvas[y])).rstrip()


def _step_axis(steps: Axis, glyphs: Glyphs) -> Iterator[str]:
    """A line, and under it round numbers of steps, centred."""
    yield " " * MARGIN + glyphs.corner + glyphs.floor * steps.places
    numbers = " " * (MARGIN + 1 + steps.places)
    for tick in filter(float.is_integer, steps.ticks(5)):
        label = f"{tick:,.0f}"
        start = min(MARGIN + 1 + steps.place(tick) - len(label) // 2, len(numbers) - len(label))
        numbers = numbers[:start] + label + numbers[start + len(label) :]
    yield numbers.rstrip()
