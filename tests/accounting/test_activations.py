"""What autograd keeps: the formulas against PyTorch's own saved tensors."""

from dataclasses import asdict, replace

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from tinylm.accounting.activations import DeviceType, Precision, kept_activations, times_kept
from tinylm.accounting.shape import ModelShape
from tinylm.configs.model import ModelConfig
from tinylm.configs.run import TrainConfig
from tinylm.model import build_model
from tinylm.model.build import build_loss
from tinylm.training.device import choose_execution

BASE = ModelConfig(vocab_size=300, context_length=32, d_model=48, num_layers=3, num_heads=4, d_ff=100)
VARIANTS = {
    "base": {},
    "manual": {"attention": "manual"},
    "silu": {"feed_forward": "silu"},
    "ReLU squared": {"feed_forward": "relu2"},
    "no rope": {"position": "none"},
    "no rope, manual": {"position": "none", "attention": "manual"},
    "no norm": {"norm": "none"},
    "embedding norm": {"embedding_norm": True},
    "embedding norm and no other": {"embedding_norm": True, "norm": "none"},
    "value embeddings": {"value_embeddings": 2},
    "value embeddings, no rope": {"value_embeddings": 2, "position": "none"},
    "value embeddings, manual": {"value_embeddings": 2, "attention": "manual"},
    "value embeddings, QK-norm": {"value_embeddings": 2, "qk_norm": True},
    "value embeddings, QK-norm, manual": {"value_embeddings": 2, "qk_norm": True, "attention": "manual"},
    "skip connections": {"skip_connections": True},
    "skip connections, no norm": {"skip_connections": True, "norm": "none"},
    "skip connections, post-norm": {"skip_connections": True, "norm_placement": "post"},
    "QK-norm": {"qk_norm": True},
    "QK-norm, no rope": {"qk_norm": True, "position": "none"},
    "QK-norm, manual": {"qk_norm": True, "attention": "manual"},
    "QK-norm, no rope, manual": {"qk_norm": True, "position": "none", "attention": "manual"},
    "post-norm": {"norm_placement": "post"},
    "soft-cap": {"logit_softcap": 30.0},
    "soft-cap, manual": {"logit_softcap": 30.0, "attention": "manual"},
    "tied": {"tie_embeddings": True},
}


def kept_in_total(shape: ModelShape, batch_size: int, precision: Precision, device: DeviceType = "cpu") -> int:
    """All blocks, head, loss and token ids."""
    kept, times = asdict(kept_activations(shape, batch_size, precision, device)), times_kept(shape)
    return sum(times[part] * size for part, size in kept.items())


def saved_bytes(config: ModelConfig, batch_size: int, precision: Precision, device: DeviceType = "cpu") -> int:
    """Bytes of all storages that autograd saved in a forward pass, parameters and buffers aside."""
    model, loss_function = build_model(config, seed=0, device=device), build_loss(config)
    execution = choose_execution(TrainConfig(device=device, precision=precision))
    saved: dict[int, int] = {}
    tensors = []  # kept alive, so that no address is used twice

    def remember(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        tensors.append(tensor)
        return tensor

    inputs, targets = torch.zeros(2, batch_size, config.context_length, dtype=torch.long, device=device).unbind()
    inputs, targets = inputs.clone(), targets.clone()
    with execution.repeatable(), saved_tensors_hooks(remember, lambda tensor: tensor):
        with execution.autocast():
            loss = loss_function(model(inputs), targets)
        loss.backward()
    ours = {tensor.untyped_storage().data_ptr() for tensor in [*model.parameters(), *model.buffers()]}
    return sum(size for address, size in saved.items() if address not in ours)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("variant", VARIANTS)
def test_kept_bytes_are_those_that_autograd_saves(variant: str, batch_size: int, precision: Precision) -> None:
    """Every variant and precision; only a few numbers a token of the loss are not accounted for."""
    config = ModelConfig(**BASE.model_dump() | VARIANTS[variant])
    kept = kept_in_total(ModelShape.of(config), batch_size, precision)
    unaccounted = saved_bytes(config, batch_size, precision) - kept
    assert 0 <= unaccounted <= 24 * batch_size * config.context_length + 64


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("variant", VARIANTS)
def test_kept_bytes_on_a_gpu(variant: str, batch_size: int, precision: Precision) -> None:
    """The same with a GPU's kernels, which want d_head to be a multiple of 8 (and keep a random seed of 16 bytes)."""
    config = ModelConfig(**BASE.model_dump() | {"d_model": 64} | VARIANTS[variant])
    kept = kept_in_total(ModelShape.of(config), batch_size, precision, "cuda")
    unaccounted = saved_bytes(config, batch_size, precision, "cuda") - kept
    assert 0 <= unaccounted <= 24 * batch_size * config.context_length + 64 + 16 * config.num_layers


def test_bf16_halves_all_but_the_stream_the_norms_and_the_loss() -> None:
    """What remains in float32 is what the module says, and the matrices' copies come on top."""
    shape = replace(ModelShape.of(BASE), norm="none", position="none")
    full, half = kept_activations(shape, 2, "fp32"), kept_activations(shape, 2, "bf16")
    copies = 2 * (3 * shape.d_model * shape.d_ff)
    assert half.feed_forward - copies == full.feed_forward // 2
    assert half.loss == full.loss
