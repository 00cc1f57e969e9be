"""What a sweep over learning rates shows: the optimum, its plateau, and the edge of stability."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tinylm.experiments.trials import TrialResult
from tinylm.training.evaluation import perplexity

RATE = "optim.lr"
BROKEN_PERPLEXITY_RATIO = 1.5
"""A rate above the best is broken when training diverged, or ended with this many times the best perplexity.

In the write-up's sweep 5e-3 did not diverge, but ended with 2.6 times the best perplexity after oscillating; rates
that are merely too low end with at most 1.2 times the best.
"""
PLATEAU_PERPLEXITY_RATIO = 1.03
"""Rates around the best are as good as it up to this many times its perplexity."""


@dataclass(frozen=True, slots=True)
class Stability:
    """Learning rates of trials that are alike in everything else."""

    best: float
    plateau: tuple[float, float]
    """The lowest and the highest rate around the best that are about as good."""
    stable_edge: float | None
    """The largest rate below the first broken one; None when none was broken: the edge is further up."""
    first_unstable: float | None
    """The smallest rate above the best that is broken."""

    @property
    def best_over_first_unstable(self) -> float | None:
        """How close to the instability it is best to be; about 0.4 in the write-up."""
        return None if self.first_unstable is None else self.best / self.first_unstable


def best_trial(results: Sequence[TrialResult]) -> TrialResult | None:
    """The trial with the lowest validation loss."""
    done = (result for result in results if result.valid_loss is not None)
    return min(done, key=lambda result: result.valid_loss or 0.0, default=None)


def perplexity_ratio(result: TrialResult, best: TrialResult) -> float:
    """By which factor a trial's perplexity is above the best's; infinite where it diverged."""
    if result.valid_loss is None or best.valid_loss is None:
        return math.inf
    return perplexity(result.valid_loss - best.valid_loss)


def stability(results: Sequence[TrialResult]) -> Stability | None:
    """Of the rates tried with the best trial's other settings; None when there are fewer than two."""
    best = best_trial(results)
    if best is None:
        return None
    line = next(line for line in rate_lines(results) if best in line) if RATE in best.values else []
    if len(line) < 2:
        return None
    rates = [float(result.values[RATE]) for result in line]
    ratios = [perplexity_ratio(result, best) for result in line]
    at = line.index(best)
    lowest, highest = _plateau(ratios, at)
    broken = next((i for i in range(at, len(line)) if ratios[i] > BROKEN_PERPLEXITY_RATIO), None)
    return Stability(
        best=rates[at],
        plateau=(rates[lowest], rates[highest]),
        stable_edge=None if broken is None else rates[broken - 1],
        first_unstable=None if broken is None else rates[broken],
    )


def _plateau(ratios: Sequence[float], at: int) -> tuple[int, int]:
    """Indices of the first and last of the neighbours of `at` that are about as good."""
    lowest = highest = at
    while lowest > 0 and ratios[lowest - 1] <= PLATEAU_PERPLEXITY_RATIO:
        lowest -= 1
    while highest + 1 < len(ratios) and ratios[highest + 1] <= PLATEAU_PERPLEXITY_RATIO:
        highest += 1
    return lowest, highest


def rate_lines(results: Sequence[TrialResult]) -> Iterator[list[TrialResult]]:
    """Trials that differ in the learning rate only, by ascending rate; only those that show something."""
    lines: dict[str, list[TrialResult]] = {}
    for result in results:
        if RATE in result.values and result.conclusive:
            others = {key: value for key, value in result.values.items() if key != RATE}
            lines.setdefault(repr(sorted(others.items())), []).append(result)
    for line in lines.values():
        yield sorted(line, key=lambda result: float(result.values[RATE]))
