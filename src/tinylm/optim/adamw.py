"""AdamW."""

import math
from collections.abc import MutableMapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from tinylm.optim.base import GroupOptimizer, ParamGroup

State = dict[str, Tensor]
"""step (), exp_avg and exp_avg_sq (shape of the parameter)"""


class AdamW(GroupOptimizer):
    """Adam with decoupled weight decay (arXiv 1711.05101), in the form of PyTorch's: the decay is scaled by lr.

    `fused` makes the same update in one kernel, at about a quarter of the loop's time.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        *,
        fused: bool = True,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "fused": fused})

    def update(self, group: ParamGroup) -> None:
        update_adamw(group, self.state)


def update_adamw(group: ParamGroup, states: MutableMapping[Tensor, Any]) -> None:
    """One step of the group's parameters that have a gradient."""
    params = [param for param in group["params"] if param.grad is not None]
    for param in params:
        states[param] = states[param] or _initial_state(param, fused=group["fused"])
    if params:
        update = _update_fused if group["fused"] else _update_one_by_one
        update(params, [states[param] for param in params], group)


def _initial_state(param: Tensor, *, fused: bool) -> State:
    # The kernel counts steps where the parameter is; the loop needs the number itself and must not wait for the GPU.
    step = torch.zeros((), dtype=torch.float32, device=param.device if fused else "cpu")
    return {"step": step, "exp_avg": torch.zeros_like(param), "exp_avg_sq": torch.zeros_like(param)}


def _update_one_by_one(params: list[Tensor], states: list[State], group: ParamGroup) -> None:
    """The algorithm, to be read."""
    lr, (beta1, beta2) = group["lr"], group["betas"]
    for param, state in zip(params, states, strict=True):
        gradient, mean, mean_square = param.grad, state["exp_avg"], state["exp_avg_sq"]
        assert gradient is not None
        state["step"] += 1
        step = state["step"].item()

        param.mul_(1 - lr * group["weight_decay"])
        mean.mul_(beta1).add_(gradient, alpha=1 - beta1)
        mean_square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)

        # Both averages began at 0; dividing by the total weight of what they have seen removes that bias.
        root_mean_square = mean_square.sqrt().div_(math.sqrt(1 - beta2**step)).add_(group["eps"])
        param.addcdiv_(mean, root_mean_square, value=-lr / (1 - beta1**step))


def _update_fused(params: list[Tensor], states: list[State], group: ParamGroup) -> None:
    """The same in PyTorch's kernel for it."""
    beta1, beta2 = group["betas"]
    steps = [state["step"] for state in states]
    torch._foreach_add_(steps, 1)
    torch._fused_adamw_(
        params,
        [param.grad for param in params if param.grad is not None],
        [state["exp_avg"] for state in states],
        [state["exp_avg_sq"] for state in states],
        [],
        steps,
        lr=group["lr"],
        beta1=beta1,
        beta2=beta2,
        weight_decay=group["weight_decay"],
        eps=group["eps"],
        amsgrad=False,
        maximize=False,
    )
