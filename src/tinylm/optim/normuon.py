"""NorMuon: Muon whose neurons all move alike."""

import math
from collections.abc import MutableMapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from tinylm.optim.base import ParamGroup
from tinylm.optim.muon import Muon, move, orthogonal_updates


class NorMuon(Muon):
    """Muon with a rate of its own for each row, that is for each neuron; AdamW for groups with `algorithm="adamw"`.

    An orthogonal update is balanced between directions, not between rows: some neurons move far more than others. With
    O the orthogonalised update of a matrix (rows, columns) and v (rows), which starts at 0:

        v <- row_beta v + (1 - row_beta) mean of O^2 over the columns
        N = O / (sqrt(v) + eps)
        weight -= lr 0.2 sqrt(rows columns) N / |N|,  |N| the L2 norm of all entries

    so that an update's root mean square is 0.2 lr whatever v is; for the same reason v needs no correction of its bias.
    Source: NorMuon (arXiv 2510.05491, algorithm 1). We differ by the Nesterov momentum that our Muon has.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 2e-3,
        momentum: float = 0.95,
        weight_decay: float = 0.1,
        *,
        row_beta: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        fused: bool = True,
        iteration_dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            params, lr, momentum, weight_decay, betas=betas, eps=eps, fused=fused, iteration_dtype=iteration_dtype
        )
        for group in [self.defaults, *self.param_groups]:
            group.setdefault("row_beta", row_beta)

    def update_matrices(self, params: list[Tensor], group: ParamGroup) -> None:
        updates = orthogonal_updates(params, group, self.state, self.iteration_dtype)
        balanced = balance_rows(updates, params, self.state, group["row_beta"], group["eps"])
        move(params, balanced, group, size=0.2)


def balance_rows(
    updates: Tensor, params: list[Tensor], states: MutableMapping[Tensor, Any], row_beta: float, eps: float
) -> Tensor:
    """In place: each row of (params, stacked, rows, columns) by its own v, then each matrix to root mean square 1."""
    row_shape = (updates.shape[1] * updates.shape[2], 1)
    moments = [states[param].setdefault("row_mean_square", param.new_zeros(row_shape)) for param in params]
    mean_squares = updates.square().mean(-1, keepdim=True).flatten(1, 2)
    torch._foreach_lerp_(moments, list(mean_squares), 1 - row_beta)
    updates.div_((torch.stack(moments).sqrt() + eps).view(*updates.shape[:-1], 1))
    norms = updates.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)  # a matrix without gradient stays
    return updates.mul_(math.sqrt(updates.shape[-2] * updates.shape[-1]) / norms)
