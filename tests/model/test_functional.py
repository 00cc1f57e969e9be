"""functional.py against torch.nn.functional."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from tinylm.model import cross_entropy, scaled_dot_product_attention, silu, softmax
from tinylm.model.functional import relu_squared, softcap


@pytest.mark.parametrize("dim", [-1, 0, 1])
def test_softmax_equals_torch(dim: int) -> None:
    """softmax is PyTorch's along every dimension."""
    x = torch.randn(3, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(softmax(x, dim), F.softmax(x, dim))


@given(shift=st.floats(-1e30, 1e30), values=st.lists(st.floats(-50, 50), min_size=1, max_size=6))
def test_softmax_does_not_overflow(shift: float, values: list[float]) -> None:
    """However large the inputs, softmax is finite, non-negative and sums to one."""
    probabilities = softmax(torch.tensor(values, dtype=torch.float64) + shift)
    assert (probabilities >= 0).all()
    assert probabilities.sum().item() == pytest.approx(1)


def test_silu_equals_torch() -> None:
    """silu is PyTorch's."""
    x = torch.linspace(-20, 20, 101, dtype=torch.float64)
    torch.testing.assert_close(silu(x), F.silu(x))


def test_relu_squared_equals_torch() -> None:
    """relu_squared is the square of PyTorch's ReLU, values and gradients, also where they vanish."""
    x = torch.linspace(-3, 3, 61, dtype=torch.float64, requires_grad=True)
    ours, torchs = relu_squared(x), F.relu(x).square()
    torch.testing.assert_close(ours, torchs)
    torch.testing.assert_close(torch.autograd.grad(ours.sum(), x), torch.autograd.grad(torchs.sum(), x))


@given(x=st.floats(-1e4, 1e4), cap=st.floats(0.5, 100))
def test_softcap_bounds_what_is_large_and_leaves_what_is_small(x: float, cap: float) -> None:
    """c tanh(x / c): within the cap, of the sign of x, and no further from x than x^3 / 3 c^2."""
    (capped,) = softcap(torch.tensor([x]), cap).tolist()
    assert capped == pytest.approx(cap * math.tanh(x / cap), rel=1e-5, abs=1e-30)
    assert abs(capped) <= cap * (1 + 1e-6)
    assert abs(capped - x) <= abs(x) ** 3 / (3 * cap**2) + 1e-5 * abs(x) + 1e-30


@pytest.mark.parametrize("masked", [False, True])
def test_attention_equals_torch(masked: bool) -> None:
    """Attention written out is PyTorch's, values and gradients, with and without a mask, for any leading dimensions."""
    inputs = [torch.randn(2, 3, n, 8, dtype=torch.float64, requires_grad=True) for n in (5, 7, 7)]
    mask = (torch.rand(5, 7) < 0.5) | torch.eye(5, 7, dtype=torch.bool) if masked else None
    ours, torchs = scaled_dot_product_attention(*inputs, mask), F.scaled_dot_product_attention(*inputs, attn_mask=mask)
    torch.testing.assert_close(ours, torchs)
    upstream = torch.randn_like(ours)
    for mine, theirs in zip(
        torch.autograd.grad(ours, inputs, upstream), torch.autograd.grad(torchs, inputs, upstream), strict=True
    ):
        torch.testing.assert_close(mine, theirs)


def test_cross_entropy_equals_torch() -> None:
    """cross_entropy is PyTorch's mean over all positions, values and gradients."""
    logits = torch.randn(2, 3, 11, requires_grad=True)
    targets = torch.randint(0, 11, (2, 3))
    ours, torchs = cross_entropy(logits, targets), F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    torch.testing.assert_close(ours, torchs)
    torch.testing.assert_close(torch.autograd.grad(ours, logits), torch.autograd.grad(torchs, logits))


def test_cross_entropy_of_large_logits_is_exact() -> None:
    """Logits of 1e8 and their negatives give the loss that the difference says, not infinity or NaN."""
    logits = torch.tensor([[1e8, 1e8, -1e8], [-1e8, 1e8, 0.0]])
    losses = [cross_entropy(row, torch.tensor(target)).item() for row, target in zip(logits, (0, 2), strict=True)]
    assert losses == [pytest.approx(math.log(2)), 1e8]


def test_cross_entropy_of_half_precision_is_computed_in_float32() -> None:
    """bfloat16 logits give exactly the loss of the same numbers in float32."""
    logits, targets = torch.randn(4, 1000).bfloat16(), torch.randint(0, 1000, (4,))
    loss = cross_entropy(logits, targets)
    assert loss.dtype == torch.float32
    assert loss == cross_entropy(logits.float(), targets)
