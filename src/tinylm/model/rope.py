"""Rotary position embeddings."""

import torch
from torch import Tensor, nn


class RotaryEmbedding(nn.Module):
    """Turns each pair of dimensions (2i, 2i + 1) by the angle position * theta^(-2i / d_head) (arXiv 2104.09864).

    (..., seq, d_head), (..., seq) of positions -> (..., seq, d_head)
    The product of a turned query and a turned key depends on the distance between their positions only. Pairs are
    interleaved, as in the paper; Llama's checkpoints pair (i, i + d_head / 2) instead.
    """

    cos: Tensor
    sin: Tensor

    def __init__(
        self, theta: float, d_head: int, context_length: int, device: torch.device | str | None = None
    ) -> None:
        super().__init__()
        # In float64: the angles reach context_length radians, where float32 has lost four digits.
        frequencies = theta ** (-torch.arange(0, d_head, 2, device=device, dtype=torch.float64) / d_head)
        angles = torch.outer(torch.arange(context_length, device=device, dtype=torch.float64), frequencies)
        self.register_buffer("cos", angles.cos().float(), persistent=False)  # (context_length, d_head / 2)
        self.register_buffer("sin", angles.sin().float(), persistent=False)

    def forward(self, x: Tensor, token_positions: Tensor) -> Tensor:
        as_complex = x.device.type == "cpu" and not torch.compiler.is_compiling()
        turn = turn_complex if as_complex else turn_parts
        return turn(x, self.cos[token_positions], self.sin[token_positions]).to(x.dtype)


def turn_parts(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Pairs (a, b) of the last dimension -> (a cos - b sin, a sin + b cos); cos and sin (..., d_head / 2)."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


def turn_complex(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """The same as (a + ib)(cos + i sin): one pass over memory in place of eight, but nothing that PyTorch compiles."""
    x = x.to(torch.promote_types(x.dtype, cos.dtype)).contiguous()
    pairs = torch.view_as_complex(x.view(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * torch.complex(cos, sin)).flatten(-2)
