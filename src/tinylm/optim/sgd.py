"""Stochastic gradient descent with a decaying rate."""

import math

import torch
from torch.optim.optimizer import ParamsT

from tinylm.optim.base import GroupOptimizer, ParamGroup


class SGD(GroupOptimizer):
    """param -= lr / sqrt(step + 1) * gradient, steps counted from 0."""

    def __init__(self, params: ParamsT, lr: float = 1e-3) -> None:
        super().__init__(params, {"lr": lr})

    def update(self, group: ParamGroup) -> None:
        for param in group["params"]:
            if param.grad is None:
                continue
            step = self.state[param].setdefault("step", torch.zeros(()))
            param.add_(param.grad, alpha=-group["lr"] / math.sqrt(step.item() + 1))
            step += 1
