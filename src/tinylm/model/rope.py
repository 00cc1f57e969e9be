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
        cos, sin = self.cos[token_positions], self.sin[token_positions]
        even, odd = x[..., 0::2], x[..., 1::2]
        turned = torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1)
        return turned.flatten(-2).to(x.dtype)
