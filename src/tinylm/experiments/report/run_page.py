"""The page of one run, and the pieces that other pages have too."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tinylm.configs.loader import to_toml
from tinylm.experiments.report.sections import Chart, Page, Section, Table, Text
from tinylm.experiments.report.series import Series, read_series
from tinylm.files import read_json
from tinylm.training.evaluation import perplexity
from tinylm.training.run_directory import RunDirectory

MOST_SAMPLES = 4
SAMPLE = re.compile(r"step-(\d+)\.txt")


def run_page(path: Path) -> Page:
    """Learning curve, figures, samples, configuration, environment."""
    run = RunDirectory.existing(path)
    summary = run.summary() or {"status": "unfinished"}
    sections: list[Section] = [
        curves_chart([read_series(path.resolve().name, path)]),
        figures(summary),
        *samples(path),
        Text("Configuration", to_toml(run.config()).strip(), folded=True),
        *environment([path]),
    ]
    return Page(path.resolve().name, "Run", [_finding(summary)], sections)


def _finding(summary: Mapping[str, Any]) -> str:
    loss = summary.get("valid_loss")
    if loss is None:
        return f"The run is {summary['status']}."
    return (
        f"{summary['status'].capitalize()} after {summary['steps']:,} steps and {summary['tokens']:,} tokens: "
        f"validation loss {loss:.4f}, perplexity {perplexity(loss):.2f}."
    )


def figures(summary: Mapping[str, Any]) -> Table:
    """What the run came to, without what does not apply to it."""
    shown = {key: value for key, value in summary.items() if key not in {"schema", "run"} and value is not None}
    return Table("Figures", ["figure", "value"], [[key, figure_text(value)] for key, value in shown.items()])


def figure_text(value: Any) -> str:
    """A figure of a summary as people read it."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def curves_chart(series: Sequence[Series]) -> Chart:
    """Learning curves against steps, tokens, time and FLOPs."""
    rows = [
        [
            one.name,
            f"{one.steps[-1]:,}" if one.steps else "0",
            f"{one.losses[-1]:.4f}" if one.losses else "-",
            f"{one.valid_losses[-1]:.4f}" if one.valid_losses else "-",
        ]
        for one in series
    ]
    return Chart(
        title="Learning curves",
        description="Loss in nats per token in the course of training.",
        data={"type": "curves", "series": [asdict(one) for one in series]},
        numbers=Table("Where the curves end", ["run", "step", "training loss", "validation loss"], rows),
    )


def samples(path: Path, title: str = "Samples") -> list[Section]:
    """What the model wrote during training, the latest first; nothing when it was not asked to."""
    found = [(SAMPLE.fullmatch(file.name), file) for file in RunDirectory(path).samples.glob("*.txt")]
    steps = {int(name[1]): file for name, file in found if name}
    return [
        Text(f"{title}: step {step:,}", steps[step].read_text(encoding="utf-8", errors="replace").strip(), prose=True)
        for step in sorted(steps, reverse=True)[:MOST_SAMPLES]
    ]


def environment(paths: Sequence[Path]) -> list[Section]:
    """What the runs ran on; what is not the same for all is listed with all its values."""
    files = [path / "environment.json" for path in paths]
    found = [read_json(file) for file in files if file.is_file()]
    keys = list(dict.fromkeys(key for one in found for key in one))
    rows = [[key, "; ".join(dict.fromkeys(figure_text(one.get(key)) for one in found))] for key in keys]
    return [Table("Environment", ["what", "value"], rows, folded=True)] if rows else []
