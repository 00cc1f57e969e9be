"""clip_gradients against torch.nn.utils.clip_grad_norm_."""

import math

import pytest
import torch
from torch import nn

from tinylm.optim import clip_gradients


def parameters_with_gradients(scale: float = 1.0) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    parameters = [nn.Parameter(torch.zeros(shape)) for shape in [(5, 3), (7,), (2, 2)]]
    for parameter in parameters[:2]:
        parameter.grad = scale * torch.randn(parameter.shape, generator=generator)
    return parameters


@pytest.mark.parametrize(("scale", "max_norm"), [(1.0, 0.1), (1.0, 1.0), (1.0, 100.0), (1e-6, 1e-7), (0.0, 1.0)])
def test_equals_torch(scale: float, max_norm: float) -> None:
    """The norm returned and the gradients left behind are PyTorch's, be they tiny, zero or missing."""
    ours, torchs = parameters_with_gradients(scale), parameters_with_gradients(scale)
    norm = clip_gradients(iter(ours), max_norm)
    torch.testing.assert_close(norm, nn.utils.clip_grad_norm_(torchs, max_norm))
    assert ours[2].grad is None
    for mine, theirs in zip(ours[:2], torchs[:2], strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-5, atol=0)


@pytest.mark.parametrize("max_norm", [1e6, math.inf])
def test_small_gradients_stay_as_they_are(max_norm: float) -> None:
    """Below the limit not a bit changes; an infinite limit only measures."""
    clipped, original = parameters_with_gradients(), parameters_with_gradients()
    clip_gradients(clipped, max_norm)
    for mine, theirs in zip(clipped[:2], original[:2], strict=True):
        assert mine.grad is not None
        assert theirs.grad is not None
        assert torch.equal(mine.grad, theirs.grad)


def test_a_gradient_that_is_not_finite_shows_in_the_norm() -> None:
    """The loop sees a diverged step in the norm it gets back."""
    parameters = parameters_with_gradients()
    parameters[0].grad = torch.full((5, 3), math.nan)
    assert clip_gradients(parameters, 1.0).isnan()
