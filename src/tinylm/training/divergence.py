"""When a run has diverged, and should stop before it spoils more than time."""

import math

SMOOTHING = 0.95
PATIENCE = 50
"""Steps in a row that the smoothed loss may stay above the bound."""


class LossWatch:
    """Follows loss and gradient norm; a run diverges when either is not finite, or when the loss stays high.

    High is a smoothed loss above twice a uniform guess's, ln(vocab_size), for `PATIENCE` steps.
    """

    def __init__(self, vocab_size: int, *, smoothed_loss: float | None = None, steps_above_bound: int = 0) -> None:
        self.bound = 2 * math.log(vocab_size)
        self.smoothed_loss = math.nan if smoothed_loss is None else smoothed_loss
        self.steps_above_bound = steps_above_bound

    def diverges(self, loss: float, grad_norm: float) -> bool:
        """Take in the figures of the next step."""
        first = math.isnan(self.smoothed_loss)
        self.smoothed_loss = loss if first else SMOOTHING * self.smoothed_loss + (1 - SMOOTHING) * loss
        self.steps_above_bound = self.steps_above_bound + 1 if self.smoothed_loss > self.bound else 0
        return not math.isfinite(loss + grad_norm) or self.steps_above_bound >= PATIENCE

    @property
    def finite_loss(self) -> float | None:
        """The smoothed loss, None when it is not finite."""
        return self.smoothed_loss if math.isfinite(self.smoothed_loss) else None

    def state(self) -> dict[str, float | int | None]:
        """What it takes to go on, as arguments to a new one."""
        return {"smoothed_loss": self.finite_loss, "steps_above_bound": self.steps_above_bound}
