"""Results of sweeps as tests write them down."""

from collections.abc import Callable

import pytest

from tinylm.experiments.trials import TrialResult
from tinylm.training.evaluation import perplexity

MakeResult = Callable[..., TrialResult]


@pytest.fixture
def result() -> MakeResult:
    """A trial's result from its settings and its loss; None is divergence."""

    def make(loss: float | None, name: str = "", status: str = "", **values: object) -> TrialResult:
        keys = {"lr": "optim.lr", "batch_size": "train.batch_size"}
        settings = {keys.get(key, key): value for key, value in values.items()}
        return TrialResult(
            name=name or ",".join(f"{key}={value}" for key, value in values.items()),
            values=settings,
            status=status or ("diverged" if loss is None else "done"),
            valid_loss=loss,
            valid_perplexity=None if loss is None else perplexity(loss),
            tokens=100,
            seconds=1.0,
            run="sweep/x",
        )

    return make
