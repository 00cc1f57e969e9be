"""What a sweep came to, and its files `results.json` and `results.csv`."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from tinylm.errors import TinylmError
from tinylm.experiments.stability import best_trial, stability
from tinylm.experiments.trials import TrialResult, value_text
from tinylm.files import read_json, write_json, write_text

RESULTS = "results.json"
BASELINE = "baseline"


def swept_keys(results: Sequence[TrialResult]) -> list[str]:
    """The settings that trials have, in the order in which they first appear."""
    return list(dict.fromkeys(key for result in results for key in result.values))


def reference(results: Sequence[TrialResult], best: TrialResult | None) -> TrialResult | None:
    """What losses are compared with: the trial called baseline if there is one, else the best."""
    return next((result for result in results if result.name == BASELINE), best)


def summarize(results: Sequence[TrialResult]) -> dict[str, Any]:
    """The sweep as JSON data: trials, the best of them, and what its learning rates show."""
    found = stability(results)
    best = best_trial(results)
    return {
        "trials": [asdict(result) for result in results],
        "best": asdict(best) if best else None,
        "stable_edge": found.stable_edge if found else None,
        "first_unstable": found.first_unstable if found else None,
        "best_over_first_unstable": found.best_over_first_unstable if found else None,
        "plateau": list(found.plateau) if found else None,
    }


def write_results(directory: Path, results: Sequence[TrialResult]) -> None:
    """Replace both files."""
    write_json(directory / RESULTS, {"schema": 1, **summarize(results)})
    write_text(directory / "results.csv", csv_text(results))


def csv_text(results: Sequence[TrialResult]) -> str:
    """A line a trial: name, status, the swept settings, then the figures."""
    keys = swept_keys(results)
    figures = ["valid_loss", "valid_perplexity", "tokens", "seconds", "run"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "status", *keys, *figures])
    for result in results:
        settings = [value_text(result.values[key]) if key in result.values else "" for key in keys]
        writer.writerow([result.name, result.status, *settings, *(getattr(result, figure) for figure in figures)])
    return text.getvalue()


def read_results(directory: Path) -> list[TrialResult]:
    """Raises: TinylmError when `directory` is not a sweep's."""
    if not (directory / RESULTS).is_file():
        raise TinylmError(
            f"{directory}: no {RESULTS}, not a finished sweep; `tinylm sweep --out {directory}` makes one"
        )
    names = {field.name for field in fields(TrialResult)}
    trials = read_json(directory / RESULTS)["trials"]
    return [TrialResult(**{key: value for key, value in trial.items() if key in names}) for trial in trials]
