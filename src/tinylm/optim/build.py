"""From an OptimConfig to an optimizer over a model's parameters."""

from collections.abc import Sequence
from typing import Any, assert_never

import torch
from torch import Tensor, nn

from tinylm.configs.optim import AdamWConfig, MuonConfig, OptimConfig, SGDConfig
from tinylm.optim.adamw import AdamW
from tinylm.optim.base import ParamGroup
from tinylm.optim.muon import Muon
from tinylm.optim.sgd import SGD


def build_optimizer(config: OptimConfig, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer, its parameters grouped by how they are to move; vectors (norms) never decay.

    Each group has a `peak_lr`: a schedule sets lr = peak_lr * (the fraction of its peak it is at).
    """
    match config:
        case AdamWConfig():
            groups = _adamw_groups(list(model.parameters()), config.lr, config.weight_decay)
            return AdamW(groups, betas=(config.beta1, config.beta2), eps=config.eps)
        case MuonConfig():
            return _muon(config, model)
        case SGDConfig():
            return SGD([_group(list(model.parameters()), config.lr)])
        case _:
            assert_never(config)


def _muon(config: MuonConfig, model: nn.Module) -> Muon:
    hidden = _hidden_matrices(model)
    of_muon = {param for params in hidden.values() for param in params}
    rest = [param for param in model.parameters() if param not in of_muon]
    groups = [
        _group(params, config.lr, num_stacked=num_stacked, weight_decay=config.weight_decay)
        for num_stacked, params in hidden.items()
    ]
    groups += [{**group, "algorithm": "adamw"} for group in _adamw_groups(rest, config.adamw_lr, config.weight_decay)]
    return Muon(groups, momentum=config.momentum, betas=(config.beta1, config.beta2), eps=config.eps)


def _hidden_matrices(model: nn.Module) -> dict[int, list[Tensor]]:
    """The matrices inside blocks, by how many are stacked in one weight (see `model.layers.Linear`)."""
    matrices: dict[int, list[Tensor]] = {}
    for name, module in model.named_modules():
        if name.startswith("blocks.") and hasattr(module, "num_stacked"):
            matrices.setdefault(module.num_stacked, []).append(module.weight)
    return matrices


def _adamw_groups(params: Sequence[Tensor], lr: float, weight_decay: float) -> list[ParamGroup]:
    matrices = [param for param in params if param.ndim >= 2]
    vectors = [param for param in params if param.ndim < 2]
    groups = [_group(matrices, lr, weight_decay=weight_decay), _group(vectors, lr, weight_decay=0.0)]
    return [group for group in groups if group["params"]]


def _group(params: Sequence[Tensor], lr: float, **options: Any) -> ParamGroup:
    return {"params": params, "lr": lr, "peak_lr": lr, **options}
