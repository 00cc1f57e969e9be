"""The page of a sweep."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tinylm.accounting.parameters import count_parameters
from tinylm.accounting.shape import ModelShape
from tinylm.configs.loader import to_toml
from tinylm.experiments.report.run_page import curves_chart, environment, samples
from tinylm.experiments.report.sections import Chart, Page, Section, Table, Text
from tinylm.experiments.report.series import read_series
from tinylm.experiments.report.sweep_plot import SweepPlot, heat_map, loss_bars, sweep_plot
from tinylm.experiments.results import read_results, swept_keys
from tinylm.experiments.stability import (
    BROKEN_PERPLEXITY_RATIO,
    RATE,
    Stability,
    best_trial,
    stability,
)
from tinylm.experiments.trials import TrialResult, short_keys, value_text
from tinylm.training.run_directory import RunDirectory


def sweep_page(directory: Path) -> Page:
    """What was found, loss against what was swept, results, learning curves, the best trial's samples."""
    results = read_results(directory)
    best = best_trial(results)
    started = [result for result in results if (directory / result.name / "metrics.jsonl").is_file()]
    series = [read_series(result.name, directory / result.name, num_series=len(started)) for result in started]
    sections: list[Section] = [
        *_plots(results, directory),
        results_table(results),
        curves_chart(series),
        *(samples(directory / best.name, f"Samples of {best.name}") if best else ()),
        *_base(directory, best),
        *environment([directory / result.name for result in started]),
    ]
    return Page(directory.resolve().name, "Sweep", findings(results), sections)


def findings(results: Sequence[TrialResult]) -> list[str]:
    """What the sweep shows, in sentences."""
    best, found = best_trial(results), stability(results)
    others = ("diverged", "failed", "running", "waiting")
    count = {status: sum(result.status == status for result in results) for status in others}
    sentences = []
    if best and best.valid_loss is not None and best.valid_perplexity is not None:
        sentences.append(
            f"Best of {len(results)} trials: {best.name}, "
            f"validation loss {best.valid_loss:.4f}, perplexity {best.valid_perplexity:.2f}."
        )
    sentences += [f"{number} {status}." for status, number in count.items() if number]
    return [*sentences, *(_stability_findings(found) if found else ())]


def _stability_findings(found: Stability) -> list[str]:
    low, high = found.plateau
    plateau = f"Learning rates from {low:g} to {high:g} are about as good." if low < high else ""
    if found.best_over_first_unstable is None:
        edge = "No rate was broken: the edge of stability lies above those tried."
    else:
        edge = (
            f"The edge of stability lies between {found.stable_edge:g} and {found.first_unstable:g}, "
            f"where training diverges or ends with over {BROKEN_PERPLEXITY_RATIO:g} times the best perplexity; "
            f"the best rate is {found.best_over_first_unstable:.0%} of the latter."
        )
    return [sentence for sentence in (plateau, edge) if sentence]


def results_table(results: Sequence[TrialResult]) -> Table:
    """The figures of each trial with its settings: a column each when all trials have them, else in one."""
    keys = swept_keys(results)
    shown = short_keys(keys)
    if all(result.values.keys() == set(keys) for result in results):
        headers, settings = [shown[key] for key in keys], [_setting_cells(result, keys) for result in results]
    else:
        headers, settings = ["settings"], [[_settings_text(result, shown)] for result in results]
    rows = [[result.name, *cells, *_figures(result)] for result, cells in zip(results, settings, strict=True)]
    return Table("Results", ["trial", *headers, "validation loss", "perplexity", "tokens", "seconds", "status"], rows)


def _setting_cells(result: TrialResult, keys: Sequence[str]) -> list[str]:
    return [value_text(result.values[key]) for key in keys]


def _settings_text(result: TrialResult, shown: Mapping[str, str]) -> str:
    return ", ".join(f"{shown[key]} {value_text(value)}" for key, value in result.values.items())


def _figures(result: TrialResult) -> list[str]:
    return [
        "-" if result.valid_loss is None else f"{result.valid_loss:.4f}",
        "-" if result.valid_perplexity is None else f"{result.valid_perplexity:.2f}",
        "" if result.tokens is None else f"{result.tokens:,}",
        "" if result.seconds is None else f"{result.seconds:,.0f}",
        result.status,
    ]


def _plots(results: Sequence[TrialResult], directory: Path) -> list[Section]:
    grid = heat_map(results)
    plot = sweep_plot(results, num_parameters(results, directory))
    sections: list[Section] = [grid] if grid else []
    return [*sections, plot_chart(plot, stability(results))] if plot else [*sections, loss_bars(results)]


def num_parameters(results: Sequence[TrialResult], directory: Path) -> dict[str, int]:
    """Of the models of those trials that have started."""
    runs = {result.name: RunDirectory(directory / result.name) for result in results}
    return {
        name: count_parameters(ModelShape.of(run.config().model)).total
        for name, run in runs.items()
        if run.config_file.is_file()
    }


def plot_chart(plot: SweepPlot, found: Stability | None) -> Chart:
    """Loss against the number that was swept, with the edge of stability where it is a learning rate."""
    key = "learning rate" if plot.key == RATE else plot.key.rpartition(".")[2].replace("_", " ")
    data: dict[str, Any] = {
        "type": "sweep",
        "key": plot.key,
        "label": key,
        "lines": [
            {
                "name": line.name,
                "points": [[x, result.valid_loss, result.name, result.status] for x, result in line.points],
            }
            for line in plot.lines
        ],
        "stable_edge": found.stable_edge if found and plot.key == RATE else None,
        "first_unstable": found.first_unstable if found and plot.key == RATE else None,
    }
    rows = [
        [line.name, f"{x:g}", result.status if result.valid_loss is None else f"{result.valid_loss:.4f}"]
        for line in plot.lines
        for x, result in line.points
    ]
    return Chart(
        title=f"Validation loss against {key}",
        description=f"Validation loss of each trial against its {key}.",
        data=data,
        numbers=Table("The numbers", ["line", key, "validation loss"], rows),
    )


def _base(directory: Path, best: TrialResult | None) -> list[Section]:
    if best is None:
        return []
    config = RunDirectory(directory / best.name).config()
    return [Text(f"Configuration of {best.name}", to_toml(config).strip(), folded=True)]
