"""Loss against what was swept: as lines over a number, as a heat map over two, or as bars over names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tinylm.experiments.report.sections import Bar, Bars, Cell, HeatMap
from tinylm.experiments.results import BASELINE, reference, swept_keys
from tinylm.experiments.stability import RATE, best_trial
from tinylm.experiments.trials import TrialResult, short_keys, value_text

MODEL_SIZE = "parameters"


@dataclass(frozen=True, slots=True)
class Line:
    """Trials that differ in one number only, or in what goes along with it."""

    name: str
    points: list[tuple[float, TrialResult]]
    """By ascending number."""


@dataclass(frozen=True, slots=True)
class SweepPlot:
    """Lines over one number."""

    key: str
    lines: list[Line]


def sweep_plot(results: Sequence[TrialResult], num_parameters: Mapping[str, int]) -> SweepPlot | None:
    """The plot of a sweep over a number; None for one over names, as ablations are, and before any trial has ended.

    `num_parameters` by trial name is what sizes of models are plotted against.
    """
    key = plotted_key(results)
    if key is None:
        return None
    groups: dict[str, list[tuple[float, TrialResult]]] = {}
    for result in results:
        number = num_parameters.get(result.name) if key == MODEL_SIZE else result.values.get(key)
        if number is not None and result.conclusive:
            groups.setdefault(_others(result, key), []).append((float(number), result))
    return SweepPlot(key, _lines(groups, key)) if groups else None


def plotted_key(results: Sequence[TrialResult]) -> str | None:
    """The learning rate if all have one, else the first number that most trials set."""
    if any(result.name == BASELINE for result in results):
        return None
    if any(key.startswith("model.") and _is_number(values[0]) for key, values in _values(results).items()):
        return MODEL_SIZE
    numbers = {key: values for key, values in _values(results).items() if all(map(_is_number, values))}
    varied = [key for key, values in numbers.items() if len(set(values)) > 1]
    complete = [key for key in varied if len(numbers[key]) == len(results)]
    if RATE in complete:
        return RATE
    return next(iter(complete or varied), None)


def _values(results: Sequence[TrialResult]) -> dict[str, list[Any]]:
    return {key: [r.values[key] for r in results if key in r.values] for key in swept_keys(results)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _others(result: TrialResult, key: str) -> str:
    """The trial's other settings, as a line's name."""
    if key == MODEL_SIZE:
        return ""
    shown = short_keys(result.values)
    return ", ".join(f"{shown[k]} {value_text(value)}" for k, value in result.values.items() if k != key)


def _lines(groups: Mapping[str, list[tuple[float, TrialResult]]], key: str) -> list[Line]:
    """A line for each group of two or more; trials alone go together by which settings they have."""
    lines: dict[str, list[tuple[float, TrialResult]]] = {}
    for name, points in groups.items():
        if len(points) == 1:
            others = [k.rpartition(".")[2] for k in points[0][1].values if k != key]
            name = f"with {' and '.join(others)} of their own" if others and key != MODEL_SIZE else name
        lines.setdefault(name or "as the base", []).extend(points)
    return [Line(name, sorted(points, key=lambda point: point[0])) for name, points in lines.items()]


def heat_map(results: Sequence[TrialResult]) -> HeatMap | None:
    """The losses of a full grid over two settings; None for any other sweep."""
    keys = swept_keys(results)
    if len(keys) != 2 or any(len(result.values) != 2 for result in results):
        return None
    row_key, column_key = keys
    rows, columns = ([*dict.fromkeys(value_text(r.values[key]) for r in results)] for key in keys)
    if min(len(rows), len(columns)) < 2 or len(results) != len(rows) * len(columns):
        return None
    found = {(value_text(r.values[row_key]), value_text(r.values[column_key])): r for r in results}
    losses = [result.valid_loss for result in results if result.valid_loss is not None]
    cells = [(row, [_cell(found[row, column], losses) for column in columns]) for row in rows]
    note = "The darker, the better; the scale ends at twice the distance from the best to the median."
    return HeatMap("Validation loss", row_key, column_key, columns, cells, note)


def _cell(result: TrialResult, losses: Sequence[float]) -> Cell:
    """Shaded on a scale that one broken trial does not stretch."""
    if result.valid_loss is None:
        return Cell(result.status, None)
    best, middle = min(losses), sorted(losses)[len(losses) // 2]
    share = (result.valid_loss - best) / (2 * (middle - best)) if middle > best else 0.0
    return Cell(f"{result.valid_loss:.3f}", min(1.0, share))


def loss_bars(results: Sequence[TrialResult]) -> Bars:
    """A bar a trial, each compared with the baseline or the best."""
    compared = reference(results, best_trial(results))
    longest = max((result.valid_loss for result in results if result.valid_loss is not None), default=1.0)
    name = compared.name if compared else "the best"
    return Bars(
        "Validation loss", [_bar(result, compared, longest) for result in results], f"Percentages: against {name}."
    )


def _bar(result: TrialResult, compared: TrialResult | None, longest: float) -> Bar:
    loss = result.valid_loss
    if loss is None:
        return Bar(result.name, None, result.status)
    versus = ""
    if compared and compared.valid_loss and result is not compared:
        versus = f"{loss / compared.valid_loss - 1:+.1%}"
    return Bar(result.name, loss / longest, f"{loss:.4f}", versus)
