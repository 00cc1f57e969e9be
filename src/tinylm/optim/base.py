"""What our optimizers share: a step is an update of each parameter group."""

from collections.abc import Callable
from typing import Any

import torch

ParamGroup = dict[str, Any]
"""`params` and their hyperparameters, lr among them."""


class GroupOptimizer(torch.optim.Optimizer):
    """A subclass says in `update` how one group moves, and keeps nothing but named tensors as state."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override] # one signature
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self.update(group)
        return loss

    def update(self, group: ParamGroup) -> None:
        """Move the group's parameters that have a gradient."""
        raise NotImplementedError
