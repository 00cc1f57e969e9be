"""The feed-forward networks against their formulas."""

import torch
import torch.nn.functional as F

from tinylm.model import SwiGLU
from tinylm.model.feed_forward import ReLUSquaredFeedForward, SiLUFeedForward


def test_swiglu_is_w2_of_silu_w1_times_w3() -> None:
    """With W1 above W3 in gate_up, SwiGLU is W2 (silu(W1 x) * W3 x)."""
    w1, w3, w2 = torch.randn(12, 8), torch.randn(12, 8), torch.randn(8, 12)
    layer = SwiGLU(8, 12)
    layer.load_state_dict({"gate_up.weight": torch.cat((w1, w3)), "down.weight": w2})
    x = torch.randn(2, 3, 8)
    torch.testing.assert_close(layer(x), F.linear(F.silu(F.linear(x, w1)) * F.linear(x, w3), w2))


def test_silu_feed_forward_is_w2_of_silu_w1() -> None:
    """The network without a gate is W2 silu(W1 x)."""
    w1, w2 = torch.randn(12, 8), torch.randn(8, 12)
    layer = SiLUFeedForward(8, 12)
    layer.load_state_dict({"up.weight": w1, "down.weight": w2})
    x = torch.randn(2, 3, 8)
    torch.testing.assert_close(layer(x), F.linear(F.silu(F.linear(x, w1)), w2))


def test_relu_squared_feed_forward_is_w2_of_the_square() -> None:
    """ReLU squared in place of SiLU: W2 relu(W1 x)^2."""
    w1, w2 = torch.randn(12, 8), torch.randn(8, 12)
    layer = ReLUSquaredFeedForward(8, 12)
    layer.load_state_dict({"up.weight": w1, "down.weight": w2})
    x = torch.randn(2, 3, 8)
    torch.testing.assert_close(layer(x), F.linear(F.relu(F.linear(x, w1)).square(), w2))


def test_without_a_gate_three_halves_of_the_width_cost_the_same() -> None:
    """Three matrices of width d_ff have as many parameters as two of width 3/2 d_ff."""
    sizes = [sum(p.numel() for p in layer.parameters()) for layer in (SwiGLU(8, 32), SiLUFeedForward(8, 48))]
    assert sizes[0] == sizes[1]
