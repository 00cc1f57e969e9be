"""The optimum, its plateau and the edge of stability, on the write-up's own table and on its corner cases."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinylm.experiments.stability import best_trial, rate_lines, stability
from tinylm.experiments.trials import TrialResult

MakeResult = Callable[..., TrialResult]

WRITE_UP = {3e-4: 1.529, 5e-4: 1.443, 1e-3: 1.377, 2e-3: 1.349, 3e-3: 1.350, 5e-3: 2.290, 1e-2: 2.529}


def test_the_write_ups_table(result: MakeResult) -> None:
    """Its seven losses give its findings: best 2e-3, plateau 1e-3 to 3e-3, edge between 3e-3 and 5e-3, 40 %."""
    found = stability([result(loss, lr=rate) for rate, loss in WRITE_UP.items()])
    assert found is not None
    assert (found.best, found.plateau) == (2e-3, (1e-3, 3e-3))
    assert (found.stable_edge, found.first_unstable) == (3e-3, 5e-3)
    assert found.best_over_first_unstable == pytest.approx(0.4)


def test_divergence_is_an_edge(result: MakeResult) -> None:
    """A diverged rate has no loss, and is the first unstable one."""
    found = stability([result(3.0, lr=1.0), result(2.9, lr=2.0), result(None, lr=4.0)])
    assert found is not None
    assert (found.stable_edge, found.first_unstable) == (2.0, 4.0)


def test_no_edge_without_a_broken_rate(result: MakeResult) -> None:
    """Where all rates above the best are sound, the edge is unknown rather than the largest rate."""
    found = stability([result(3.5, lr=1.0), result(2.9, lr=2.0), result(3.0, lr=4.0)])
    assert found is not None
    assert (found.stable_edge, found.first_unstable, found.best_over_first_unstable) == (None, None, None)


def test_rates_below_the_best_are_slow_not_broken(result: MakeResult) -> None:
    """A low rate with a loss far above the best is no instability."""
    found = stability([result(9.0, lr=1e-6), result(2.9, lr=1.0), result(None, lr=2.0)])
    assert found is not None
    assert (found.stable_edge, found.first_unstable) == (1.0, 2.0)


def test_a_crash_says_nothing(result: MakeResult) -> None:
    """A failed trial is neither stable nor unstable."""
    found = stability([result(2.9, lr=1.0), result(None, lr=2.0, status="failed"), result(3.0, lr=4.0)])
    assert found is not None
    assert found.first_unstable is None


def test_a_loss_beyond_all_bounds_is_an_edge(result: MakeResult) -> None:
    """Without normalization a rate of 10 ends in a loss whose perplexity no float holds."""
    found = stability([result(2.9, lr=1e-3), result(2.8, lr=1e-2), result(1125.0, lr=10.0)])
    assert found is not None
    assert (found.stable_edge, found.first_unstable) == (1e-2, 10.0)


@pytest.mark.parametrize("status", ["waiting", "running"])
def test_a_trial_that_has_not_ended_is_no_edge(status: str, result: MakeResult) -> None:
    """A stopped sweep shows what its ended trials show, and nothing about the others."""
    found = stability([result(2.9, lr=1.0), result(2.8, lr=2.0), result(None, lr=4.0, status=status)])
    assert found is not None
    assert (found.best, found.stable_edge, found.first_unstable) == (2.0, None, None)


def test_rates_are_compared_at_equal_other_settings(result: MakeResult) -> None:
    """In a grid over two keys the edge is that of the best trial's own line."""
    trials = [result(3.0, lr=1.0, batch_size=8), result(2.0, lr=1.0, batch_size=64)]
    trials += [result(None, lr=2.0, batch_size=8), result(2.1, lr=2.0, batch_size=64)]
    trials += [result(None, lr=4.0, batch_size=8), result(None, lr=4.0, batch_size=64)]
    assert [len(line) for line in rate_lines(trials)] == [3, 3]
    found = stability(trials)
    assert found is not None
    assert (found.stable_edge, found.first_unstable) == (2.0, 4.0)


@pytest.mark.parametrize("trials", [[], [("lr", None)], [("lr", 2.0)], [("batch_size", 2.0), ("batch_size", 3.0)]])
def test_nothing_to_say(trials: list[tuple[str, float | None]], result: MakeResult) -> None:
    """Without two rates on a line, or without any finished trial, there is no stability."""
    assert stability([result(loss, **{key: index}) for index, (key, loss) in enumerate(trials)]) is None


@given(st.permutations(list(WRITE_UP.items())))
def test_order_does_not_matter(pairs: list[tuple[float, float]]) -> None:
    """The findings do not depend on the order of the trials."""
    trials = [TrialResult(str(r), {"optim.lr": r}, "done", loss, None, None, None, "") for r, loss in pairs]
    found = stability(trials)
    assert found is not None
    assert (found.best, found.stable_edge, found.first_unstable) == (2e-3, 3e-3, 5e-3)
    best = best_trial(trials)
    assert best is not None
    assert best.valid_loss == 1.349
