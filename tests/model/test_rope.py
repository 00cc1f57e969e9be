"""RoPE against multiplication by complex numbers."""

import pytest
import torch
from torch import Tensor

from tinylm.model import RotaryEmbedding
from tinylm.model.rope import turn_complex, turn_parts

THETA, D_HEAD, CONTEXT = 10_000.0, 16, 64


def turn_as_complex_numbers(x: Tensor, positions: Tensor) -> Tensor:
    """Pair (2i, 2i + 1) as one complex number times exp(1j * position * theta^(-2i / d_head)), in float64."""
    frequencies = THETA ** (-torch.arange(0, D_HEAD, 2, dtype=torch.float64) / D_HEAD)
    angles = positions.unsqueeze(-1) * frequencies
    pairs = torch.view_as_complex(x.double().unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)


@pytest.fixture
def rope() -> RotaryEmbedding:
    return RotaryEmbedding(THETA, D_HEAD, CONTEXT)


def test_is_multiplication_by_complex_numbers(rope: RotaryEmbedding) -> None:
    """Each interleaved pair is turned as a complex number is by exp(i angle)."""
    x = torch.randn(2, 3, CONTEXT, D_HEAD)
    positions = torch.arange(CONTEXT)
    torch.testing.assert_close(rope(x, positions).double(), turn_as_complex_numbers(x, positions), rtol=1e-5, atol=1e-6)


def test_both_ways_to_turn_are_one() -> None:
    """In parts, as when compiled or on a GPU, and as complex numbers: the same values and gradients."""
    x = torch.randn(2, 7, 3, D_HEAD, dtype=torch.float64, requires_grad=True)
    angles = torch.randn(7, D_HEAD // 2, dtype=torch.float64)
    seed = torch.randn(2, 3, 7, D_HEAD, dtype=torch.float64)
    results = []
    for turn in (turn_parts, turn_complex):
        turned = turn(x.transpose(1, 2), angles.cos(), angles.sin())
        results.append((turned, *torch.autograd.grad(turned, x, seed)))
    torch.testing.assert_close(results[0], results[1])


def test_positions_may_differ_between_sequences(rope: RotaryEmbedding) -> None:
    """Positions of shape (batch, seq) are taken row by row, in any order."""
    x = torch.randn(2, 5, D_HEAD)
    positions = torch.tensor([[3, 1, 4, 1, 5], [63, 0, 9, 2, 6]])
    torch.testing.assert_close(rope(x, positions).double(), turn_as_complex_numbers(x, positions), rtol=1e-5, atol=1e-6)


def test_products_depend_on_distance_only(rope: RotaryEmbedding) -> None:
    """Moving query and key by the same number of positions leaves their product as it was."""
    query, key = torch.randn(2, 1, D_HEAD)
    scores = [
        (rope(query, torch.tensor([start + 7])) * rope(key, torch.tensor([start]))).sum() for start in (0, 10, 50)
    ]
    torch.testing.assert_close(scores, [scores[0]] * 3)


def test_tables_are_not_saved(rope: RotaryEmbedding) -> None:
    """The tables follow from the settings, so a checkpoint holds none of them."""
    assert not rope.state_dict()


def test_half_precision_is_turned_in_float32(rope: RotaryEmbedding) -> None:
    """bfloat16 comes back as bfloat16, rounded once."""
    x, positions = torch.randn(CONTEXT, D_HEAD).bfloat16(), torch.arange(CONTEXT)
    torch.testing.assert_close(rope(x, positions), rope(x.float(), positions).bfloat16(), rtol=0, atol=0)
