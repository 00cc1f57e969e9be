"""The runs below a directory: found, read, filtered and sorted."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinylm.accounting.parameters import count_parameters
from tinylm.accounting.shape import ModelShape
from tinylm.configs.loader import did_you_mean, flatten, parse_value
from tinylm.errors import UsageError
from tinylm.experiments.progress import is_being_written, latest_step
from tinylm.training.run_directory import RunDirectory


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a run directory says about its run."""

    path: Path
    status: str
    """That of the summary, or `running`, or `unfinished` where nobody is writing."""
    config: dict[str, Any]
    num_parameters: int
    figures: dict[str, Any]
    """The summary, or what the last logged step tells of a run without one."""

    @property
    def valid_loss(self) -> float:
        """For sorting: infinite where there is none."""
        loss = self.figures.get("valid_loss")
        return math.inf if loss is None or self.status == "diverged" else float(loss)

    def value(self, key: str) -> Any:
        """A setting by dotted key or a figure; None when the run has neither."""
        if key == "status":
            return self.status
        return flatten(self.config).get(key, self.figures.get(key))


def find_runs(directory: Path) -> Iterator[Path]:
    """Run directories at and below `directory`, in the order of their names; runs hold no other runs."""
    if (directory / "config.toml").is_file() and (directory / "metrics.jsonl").is_file():
        yield directory
        return
    for child in sorted(directory.iterdir()):
        if child.is_dir() and not child.is_symlink() and not child.name.startswith("."):
            yield from find_runs(child)


def read_run(path: Path) -> RunRecord:
    """Raises: ConfigError or TinylmError when the run's files cannot be read."""
    run = RunDirectory(path)
    config, summary = run.config(), run.summary()
    if summary is None:
        status = "running" if is_being_written(path) else "unfinished"
        step = latest_step(run.metrics_file) or {}
        summary = {"steps": step.get("step", 0), "tokens": step.get("tokens", 0), "seconds": step.get("seconds", 0.0)}
    else:
        status = summary["status"]
    return RunRecord(
        path=path,
        status=status,
        config=config.model_dump(),
        num_parameters=count_parameters(ModelShape.of(config.model)).total,
        figures=summary,
    )


def filtered(runs: Sequence[RunRecord], where: Mapping[str, Any], status: str | None) -> list[RunRecord]:
    """The runs that have all these settings, best first. Raises: UsageError for a key that no run has."""
    known = {key for run in runs for key in (*flatten(run.config), *run.figures, "status")}
    unknown = [f"{key!r}{did_you_mean(key, sorted(known))}" for key in where if key not in known]
    if unknown and runs:
        raise UsageError(f"--where: no run has {', '.join(unknown)}")
    chosen = [run for run in runs if all(run.value(key) == value for key, value in where.items())]
    return sorted((run for run in chosen if status in {None, run.status}), key=lambda run: run.valid_loss)


def conditions(texts: Sequence[str]) -> dict[str, Any]:
    """`["optim.lr=1e-3"]` -> `{"optim.lr": 0.001}`. Raises: UsageError when one is not of that form."""
    pairs = [text.partition("=") for text in texts]
    wrong = [repr(text) for text, (key, equals, _) in zip(texts, pairs, strict=True) if not (key and equals)]
    if wrong:
        raise UsageError(f"--where: {', '.join(wrong)} is not of the form KEY=VALUE")
    return {key.strip(): parse_value(value.strip()) for key, _, value in pairs}
