"""What `tinylm sweep` shows: its plan, how far it is, and its results."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tinylm.commands.console import Console, count_text, duration, table

if TYPE_CHECKING:
    from tinylm.experiments.stability import Stability
    from tinylm.experiments.sweep import TrialState
    from tinylm.experiments.trials import Trial, TrialResult


def loss_text(loss: float | None) -> str:
    """Four decimals, or a dash."""
    return "-" if loss is None else f"{loss:.4f}"


def show_plan(trials: "Sequence[Trial]", console: Console) -> None:
    """The trials and what each will cost, without running any; a budget of time has no known number of tokens."""
    from tinylm.accounting.parameters import count_parameters
    from tinylm.accounting.run_cost import run_cost
    from tinylm.accounting.shape import ModelShape

    plans, rows = [], []
    for trial in trials:
        shape, train = ModelShape.of(trial.config.model), trial.config.train
        parameters = count_parameters(shape).total
        cost = run_cost(shape, train.batch_size, train.steps) if train.steps else None
        plans.append(
            {
                "name": trial.name,
                "values": trial.values,
                "num_parameters": parameters,
                "tokens": cost.tokens if cost else None,
                "flops": cost.flops if cost else None,
            }
        )
        costs = [count_text(cost.tokens), f"{cost.flops:.2e}"] if cost else ["", ""]
        rows.append([trial.name, count_text(parameters), *costs])
    console.result({"trials": plans}, table(["trial", "parameters", "tokens", "FLOPs"], rows))


class SweepProgress:
    """The block of text that is shown while trials run."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.share_at_start: float | None = None

    def block(self, states: "Sequence[TrialState]") -> str:
        """A line on the whole and a table of the trials."""
        rows = [
            [
                state.trial.name,
                state.status,
                f"{state.share:.0%}" if state.status == "running" else "",
                loss_text(state.loss if state.valid_loss is None else state.valid_loss),
            ]
            for state in states
        ]
        return f"{self.headline(states)}\n{table(['trial', 'status', '', 'loss'], rows, left=2)}"

    def headline(self, states: "Sequence[TrialState]") -> str:
        """How many have ended, the best so far, and how long the rest will take."""
        from tinylm.experiments.stability import best_trial

        parts = [f"{sum(state.ended for state in states)} of {len(states)} trials ended"]
        best = best_trial([state.result() for state in states])
        if best:
            parts.append(f"best {best.name} ({loss_text(best.valid_loss)})")
        return ", ".join([*parts, *self._time_left(states)])

    def _time_left(self, states: "Sequence[TrialState]") -> Iterator[str]:
        share = sum(1.0 if state.ended else state.share for state in states) / len(states)
        if self.share_at_start is None:
            self.share_at_start = share
        gained = share - self.share_at_start
        if gained > 0 and share < 1:
            yield f"{duration((time.monotonic() - self.started) * (1 - share) / gained)} left"


def results_text(results: "Sequence[TrialResult]", out: Path) -> str:
    """The table of the trials, what it shows, and where it is."""
    from tinylm.experiments.results import reference
    from tinylm.experiments.stability import best_trial, stability

    best = best_trial(results)
    compared = reference(results, best)
    versus = f"vs {compared.name}" if compared else "vs best"
    headers = ["  trial", "valid loss", "perplexity", versus, "tokens", "time", "status"]
    text = table(headers, [_row(result, best, compared) for result in results])
    found = stability(results)
    return "\n".join([text, "", *(_stability_lines(found) if found else ()), str(out / "results.csv")])


def _row(result: "TrialResult", best: "TrialResult | None", compared: "TrialResult | None") -> list[str]:
    if result.valid_loss is None or compared is None or compared.valid_loss is None or result is compared:
        versus = ""
    else:
        versus = f"{result.valid_loss / compared.valid_loss - 1:+.1%}"
    return [
        ("* " if result is best else "  ") + result.name,
        loss_text(result.valid_loss),
        "-" if result.valid_perplexity is None else f"{result.valid_perplexity:.2f}",
        versus,
        "" if result.tokens is None else count_text(result.tokens),
        "" if result.seconds is None else duration(result.seconds),
        result.status,
    ]


def _stability_lines(found: "Stability") -> Iterator[str]:
    low, high = found.plateau
    plateau = f", as good from {low:g} to {high:g}" if low < high else ""
    yield f"best learning rate {found.best:g}{plateau}"
    if found.best_over_first_unstable is None:
        yield "edge of stability: above the rates tried; none was broken"
    else:
        yield (
            f"edge of stability: between {found.stable_edge:g} and {found.first_unstable:g}; "
            f"the best rate is {found.best_over_first_unstable:.0%} of the latter"
        )
