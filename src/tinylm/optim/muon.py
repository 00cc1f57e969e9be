"""Muon: momentum whose every update is made orthogonal."""

import math
from collections.abc import Iterator, MutableMapping, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from tinylm.optim.adamw import update_adamw
from tinylm.optim.base import GroupOptimizer, ParamGroup


class Muon(GroupOptimizer):
    """Muon for matrices, and AdamW for parameter groups with `algorithm="adamw"`.

    Source: https://kellerjordan.github.io/posts/muon, with Nesterov momentum. Updates are scaled by
    0.2 sqrt(max(rows, columns)) as in Moonlight (arXiv 2502.16982), which gives them the size of AdamW's: learning rate
    and weight decay carry over from there.

    A group with `num_stacked` holds weights that are so many matrices one above the other, each orthogonalised alone.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 2e-3,
        momentum: float = 0.95,
        weight_decay: float = 0.1,
        *,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        fused: bool = True,
        iteration_dtype: torch.dtype | None = None,
    ) -> None:
        self.iteration_dtype = iteration_dtype
        """See `orthogonalise`; not part of the state, since another device may go on in another type."""
        muon = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "num_stacked": 1, "algorithm": "muon"}
        super().__init__(params, {**muon, "betas": betas, "eps": eps, "fused": fused})

    def update(self, group: ParamGroup) -> None:
        if group["algorithm"] == "muon":
            for params in by_shape(group["params"]):
                self.update_matrices(params, group)
        else:
            update_adamw(group, self.state)

    def update_matrices(self, params: list[Tensor], group: ParamGroup) -> None:
        """One step of matrices of one shape, all at once; when it returns, so does the memory that it took."""
        updates = orthogonal_updates(params, group, self.state, self.iteration_dtype)
        move(params, updates, group, size=0.2 * math.sqrt(max(updates.shape[-2:])))


def by_shape(params: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """The weights that have a gradient, those of one shape together."""
    with_gradient = [param for param in params if param.grad is not None]
    for _, same_shape in groupby(sorted(with_gradient, key=_shape), key=_shape):
        yield list(same_shape)


def orthogonal_updates(
    params: list[Tensor], group: ParamGroup, states: MutableMapping[Tensor, Any], dtype: torch.dtype | None
) -> Tensor:
    """The orthogonalised momenta of weights of one shape: (params, stacked, rows, columns)."""
    directions = torch.stack(_directions(params, states, group["momentum"]))
    return orthogonalise(directions.view(len(params), group["num_stacked"], -1, directions.shape[-1]), dtype)


def move(params: list[Tensor], updates: Tensor, group: ParamGroup, *, size: float) -> None:
    """Decay the weights, and subtract lr * size * updates (params, stacked, rows, columns)."""
    torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
    torch._foreach_add_(params, list(updates.flatten(1, 2)), alpha=-group["lr"] * size)


def _shape(param: Tensor) -> tuple[int, ...]:
    return tuple(param.shape)


def _directions(params: list[Tensor], states: MutableMapping[Tensor, Any], momentum: float) -> tuple[Tensor, ...]:
    """Nesterov: the gradient, moved towards the average that already contains it."""
    gradients = [param.grad for param in params if param.grad is not None]
    averages = [states[param].setdefault("momentum_buffer", torch.zeros_like(param)) for param in params]
    torch._foreach_lerp_(averages, gradients, 1 - momentum)
    return torch._foreach_lerp(gradients, averages, momentum)


def orthogonalise(matrices: Tensor, dtype: torch.dtype | None = None, num_iterations: int = 5) -> Tensor:
    """Bring all singular values near 1 (0.7 to 1.2) and leave the singular vectors, without computing either.

    (..., rows, columns) -> (..., rows, columns)
    Newton-Schulz: X <- a X + b (X X^T) X + c (X X^T)^2 X acts on each singular value s as a s + b s^3 + c s^5. These
    coefficients give up convergence to exactly 1 for the fastest growth of small values. bfloat16 is enough for that:
    without a `dtype` a GPU takes it and a CPU float32.
    """
    x: Tensor = matrices.to(dtype or (torch.bfloat16 if matrices.is_cuda else torch.float32))
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)  # now no singular value is above 1
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x  # the smaller of the two Gram matrices
    for _ in range(num_iterations):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return (x.mT if tall else x).to(matrices.dtype)
