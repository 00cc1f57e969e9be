"""Linear, Embedding and RMSNorm against torch.nn, and their initial values."""

import math

import pytest
import torch
from torch import Tensor, nn

from tinylm.model import Embedding, Linear, RMSNorm
from tinylm.model.layers import SoftCap, init_truncated_normal


def test_linear_equals_torch() -> None:
    """Linear is nn.Linear without bias, with the weight laid out the same way."""
    oracle = nn.Linear(6, 4, bias=False)
    layer = Linear(6, 4)
    layer.load_state_dict(oracle.state_dict())
    x = torch.randn(2, 3, 6)
    torch.testing.assert_close(layer(x), oracle(x))


def test_embedding_equals_torch() -> None:
    """Embedding looks up rows as nn.Embedding does, and gives each row the gradients of all its uses."""
    oracle = nn.Embedding(10, 4)
    layer = Embedding(10, 4)
    layer.load_state_dict(oracle.state_dict())
    ids = torch.tensor([[1, 9, 1], [0, 1, 5]])
    torch.testing.assert_close(layer(ids), oracle(ids))
    for module in (layer, oracle):
        module(ids).square().sum().backward()
    torch.testing.assert_close(layer.weight.grad, oracle.weight.grad)


def test_embedding_logits_are_products_with_its_rows() -> None:
    """The tied head's logit for a token is the product of the state with that token's vector."""
    layer, x = Embedding(10, 4), torch.randn(2, 4)
    expected = torch.stack([(x * layer(torch.tensor(token))).sum(-1) for token in range(10)], dim=-1)
    torch.testing.assert_close(layer.logits(x), expected)


def test_rmsnorm_equals_torch() -> None:
    """RMSNorm is nn.RMSNorm, values and gradients."""
    oracle, layer = nn.RMSNorm(8, eps=1e-5), RMSNorm(8)
    layer.load_state_dict({"weight": torch.randn(8)})
    oracle.load_state_dict(layer.state_dict())
    x = torch.randn(2, 3, 8, requires_grad=True)
    torch.testing.assert_close(layer(x), oracle(x))
    inputs = [(x, layer.weight), (x, oracle.weight)]
    ours, torchs = (
        torch.autograd.grad(module(x).square().sum(), wrt) for module, wrt in zip((layer, oracle), inputs, strict=True)
    )
    torch.testing.assert_close(ours, torchs)


def test_rmsnorm_of_half_precision_is_computed_in_float32() -> None:
    """float16 values whose squares overflow are normalised as in float32, and come back as float16."""
    x = torch.randn(4, 512).half() * 1000
    normed = RMSNorm(512)(x)
    assert normed.dtype == torch.float16
    torch.testing.assert_close(normed, RMSNorm(512)(x.float()).half(), rtol=0, atol=0)


def test_soft_cap_of_half_precision_is_computed_in_float32() -> None:
    """Large bfloat16 logits, one and the same near the cap in bfloat16, stay in order and come back in float32."""
    capped = SoftCap(30.0)(torch.tensor([100.0, 101.0], dtype=torch.bfloat16))
    assert capped.dtype == torch.float32
    assert capped[0] < capped[1] < 30


def test_truncated_normal_has_the_distribution_of_rejection_sampling() -> None:
    """Inverting the cumulative distribution gives what redrawing everything beyond the cut would give."""
    torch.manual_seed(0)
    draws = torch.empty(1_000_000)
    init_truncated_normal(draws, std=2.0, cut=1.5)
    redrawn = torch.randn(1_300_000)
    redrawn = 2 * redrawn[redrawn.abs() <= 1.5][: len(draws)]
    assert draws.abs().max() <= 3.0
    quantiles = torch.linspace(0.05, 0.95, 19)
    torch.testing.assert_close(draws[::4].quantile(quantiles), redrawn[::4].quantile(quantiles), rtol=0, atol=0.03)


@pytest.mark.parametrize(
    ("weight", "std"),
    [
        (Linear(400, 600).weight, math.sqrt(2 / 1000)),
        (Linear(400, 1800, num_stacked=3).weight, math.sqrt(2 / 1000)),
        (Embedding(500, 400).weight, 1.0),
        (Embedding(500, 400, std=0.1).weight, 0.1),
    ],
    ids=["linear", "stacked linear", "embedding", "tied embedding"],
)
def test_initial_values(weight: Tensor, std: float) -> None:
    """Weights start as a normal cut at 3 std: Linear at sqrt(2 / (in + out)) of one matrix, Embedding at 1."""
    std_left_by_the_cut = 0.9866 * std
    assert weight.std().item() == pytest.approx(std_left_by_the_cut, rel=0.01)
    assert abs(weight.mean().item()) < 0.01 * std
    assert 2.9 * std < weight.abs().max() <= 3 * std * (1 + 1e-6)  # the cut itself may occur, rounded to float32


def test_rmsnorm_starts_at_one() -> None:
    """RMSNorm starts without a scale of its own."""
    assert (RMSNorm(4).weight == 1).all()


def test_device_and_dtype_are_honoured() -> None:
    """Layers can be made on any device, in any floating-point type."""
    for layer in (Linear(2, 3, "meta", torch.bfloat16), Embedding(2, 3, "meta", torch.bfloat16)):
        assert (layer.weight.device.type, layer.weight.dtype) == ("meta", torch.bfloat16)
