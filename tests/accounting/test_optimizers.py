"""Optimizer costs against built optimizers."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tinylm.accounting.optimizers import (
    MUON_FLOPS_PER_PARAMETER,
    NEWTON_SCHULZ_STEPS,
    NORMUON_FLOPS_PER_PARAMETER,
    Optimizer,
    hidden_parameters,
    newton_schulz_flops,
    optimizer_flops,
    optimizer_state_bytes,
)
from tinylm.accounting.parameters import count_parameters
from tinylm.accounting.shape import ModelShape
from tinylm.configs.model import ModelConfig
from tinylm.configs.optim import AdamWConfig, MuonConfig, NorMuonConfig, OptimConfig, SGDConfig
from tinylm.configs.presets import MODEL_PRESETS
from tinylm.model import build_model
from tinylm.optim.build import build_optimizer

CONFIGS = (AdamWConfig(), MuonConfig(), NorMuonConfig(), SGDConfig())
KINDS: dict[Optimizer, OptimConfig] = {config.kind: config for config in CONFIGS}
FEED_FORWARDS = ["swiglu", "silu", "relu2"]


def stepped(kind: Optimizer, config: ModelConfig) -> tuple[torch.optim.Optimizer, int]:
    """An optimizer after one step, and the FLOPs of that step's matrix products."""
    model = build_model(config, seed=0)
    optimizer = build_optimizer(KINDS[kind], model)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    counter = FlopCounterMode(display=False)
    with counter:
        optimizer.step()
    return optimizer, counter.get_total_flops()


@pytest.mark.parametrize("feed_forward", FEED_FORWARDS)
@pytest.mark.parametrize("kind", KINDS)
def test_state_is_as_large_as_the_optimizer_s(kind: Optimizer, feed_forward: str) -> None:
    """Step counters aside."""
    config = ModelConfig(vocab_size=50, d_model=16, num_heads=2, d_ff=24, num_layers=2, feed_forward=feed_forward)
    optimizer, _ = stepped(kind, config)
    tensors = [tensor for state in optimizer.state.values() for tensor in state.values() if tensor.ndim]
    assert optimizer_state_bytes(ModelShape.of(config), kind) == sum(tensor.nbytes for tensor in tensors)


@pytest.mark.parametrize("feed_forward", FEED_FORWARDS)
@pytest.mark.parametrize(
    ("kind", "each"), [("muon", MUON_FLOPS_PER_PARAMETER), ("normuon", NORMUON_FLOPS_PER_PARAMETER)]
)
def test_muon_s_matrix_products_are_counted_as_pytorch_counts_them(
    kind: Optimizer, each: int, feed_forward: str
) -> None:
    """Five Newton-Schulz iterations over every matrix of the blocks."""
    config = ModelConfig(vocab_size=50, d_model=16, num_heads=2, d_ff=24, num_layers=2, feed_forward=feed_forward)
    shape = ModelShape.of(config)
    _, counted = stepped(kind, config)
    hidden = hidden_parameters(shape)
    elementwise = each * hidden + 15 * (count_parameters(shape).total - hidden)
    assert optimizer_flops(shape, kind) == counted + elementwise


def test_newton_schulz_turns_the_matrix() -> None:
    """A tall matrix costs what its transpose does: the smaller Gram matrix is taken."""
    assert newton_schulz_flops(8, 2) == newton_schulz_flops(2, 8) == 4 * 2 * 2 * 8 + 2 * 2**3
    assert NEWTON_SCHULZ_STEPS == 5


def test_the_write_up_s_24_5_gflops_of_an_adamw_step() -> None:
    """15 a parameter, for its two-matrix GPT-2 XL."""
    shape = ModelShape(**MODEL_PRESETS["gpt2-xl"], feed_forward="silu")
    assert f"{optimizer_flops(shape, 'adamw') / 1e9:.1f}" == "24.5"
