"""The running average of a model's weights."""

import copy
from typing import Generic, TypeVar

import torch

Model = TypeVar("Model", bound=torch.nn.Module)


class WeightAverage(Generic[Model]):
    """An exponential moving average of the weights after each step, which often predicts better than the last of them.

    After step t it is sum_i decay^(t - i) w_i / sum_i decay^(t - i), over i = 1 ... t: divided by what the weights sum
    to, as Adam does with its moments, so that the initial weights play no part in it.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False)
        """A model with the averaged weights; those of `model` until the first update."""
        self.decay = decay

    @torch.no_grad()
    def update(self, model: Model, step: int) -> None:
        """Take in the weights after `step` (1, 2, ...)."""
        share = (1 - self.decay) / (1 - self.decay**step)
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), share)
