"""From an OptimConfig to an optimizer over a model's parameters."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, assert_never

import torch
from torch import Tensor, nn

from tinylm.configs.optim import AdamWConfig, MuonConfig, NorMuonConfig, OptimConfig, SGDConfig
from tinylm.optim.adamw import AdamW
from tinylm.optim.base import ParamGroup
from tinylm.optim.muon import Muon
from tinylm.optim.normuon import NorMuon
from tinylm.optim.sgd import SGD


def build_optimizer(
    config: OptimConfig, model: nn.Module, *, matmul_dtype: torch.dtype = torch.float32
) -> torch.optim.Optimizer:
    """The optimizer, its parameters grouped by how they are to move; vectors (norms) and scalars never decay.

    Muon's iteration is computed in what the run's matrix products are, `matmul_dtype`.

    Each group has a `peak_lr`: a schedule sets lr = peak_lr * (the fraction of its peak it is at).
    """
    match config:
        case AdamWConfig():
            groups = _adamw_groups(config, model, model.parameters(), config.lr)
            return AdamW(groups, betas=(config.beta1, config.beta2), eps=config.eps)
        case MuonConfig():
            return Muon(
                _muon_groups(config, model),
                momentum=config.momentum,
                betas=(config.beta1, config.beta2),
                eps=config.eps,
                iteration_dtype=matmul_dtype,
            )
        case NorMuonConfig():
            return NorMuon(
                _muon_groups(config, model),
                momentum=config.momentum,
                row_beta=config.row_beta,
                betas=(config.beta1, config.beta2),
                eps=config.eps,
                iteration_dtype=matmul_dtype,
            )
        case SGDConfig():
            return SGD([_group(list(model.parameters()), config.lr)])
        case _:
            assert_never(config)


def _muon_groups(config: MuonConfig | NorMuonConfig, model: nn.Module) -> list[ParamGroup]:
    hidden = _hidden_matrices(model)
    of_muon = {param for params in hidden.values() for param in params}
    rest = [param for param in model.parameters() if param not in of_muon]
    groups = [
        _group(params, config.lr, num_stacked=num_stacked, weight_decay=config.weight_decay)
        for num_stacked, params in hidden.items()
    ]
    return groups + [{**group, "algorithm": "adamw"} for group in _adamw_groups(config, model, rest, config.adamw_lr)]


def _adamw_groups(
    config: AdamWConfig | MuonConfig | NorMuonConfig, model: nn.Module, params: Iterable[Tensor], lr: float
) -> list[ParamGroup]:
    """A group of what decays for each learning rate, and one of what does not."""
    own_rates = dict.fromkeys(_embeddings(model), config.embedding_lr) | dict.fromkeys(_head(model), config.head_lr)
    by_rate: dict[float, list[Tensor]] = {}
    vectors = []
    for param in params:
        if param.ndim < 2:
            vectors.append(param)
        else:
            by_rate.setdefault(own_rates.get(param) or lr, []).append(param)
    groups = [_group(matrices, rate, weight_decay=config.weight_decay) for rate, matrices in by_rate.items()]
    return groups + ([_group(vectors, lr, weight_decay=0.0)] if vectors else [])


def _hidden_matrices(model: nn.Module) -> dict[int, list[Tensor]]:
    """The matrices inside blocks, by how many are stacked in one weight."""
    matrices: dict[int, list[Tensor]] = {}
    for module, in_block in _matrix_layers(model):
        if in_block:
            matrices.setdefault(module.num_stacked, []).append(module.weight)
    return matrices


def _head(model: nn.Module) -> list[Tensor]:
    """The matrix after the blocks; none where the head is tied."""
    return [module.weight for module, in_block in _matrix_layers(model) if not in_block]


def _embeddings(model: nn.Module) -> list[Tensor]:
    """Tables that are looked up, wherever they are: every matrix that no layer multiplies with."""
    multiplied = {module.weight for module, _ in _matrix_layers(model)}
    return [param for param in model.parameters() if param.ndim >= 2 and param not in multiplied]


def _matrix_layers(model: nn.Module) -> Iterator[tuple[Any, bool]]:
    """Layers that multiply with their weight, known by `num_stacked` (`model.layers.Linear`); whether in a block."""
    for name, module in model.named_modules():
        if hasattr(module, "num_stacked"):
            yield module, name.startswith("blocks.")


def _group(params: Sequence[Tensor], lr: float, **options: Any) -> ParamGroup:
    return {"params": params, "lr": lr, "peak_lr": lr, **options}
