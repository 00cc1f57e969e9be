"""Causal multi-head self-attention, and the cache of keys and values that decoding needs."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinylm.model.functional import scaled_dot_product_attention
from tinylm.model.layers import Linear, Norm
from tinylm.model.rope import RotaryEmbedding

CausalAttention = Callable[[Tensor, Tensor, Tensor], Tensor]
"""query (..., queries, d_head), key and value (..., keys, d_head) -> (..., queries, d_head).

The queries are those of the last positions, so there are at least as many keys."""


LONGEST_UNFUSED = 512
"""At 1,024 the fused kernel is the faster one."""


def manual_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Causal attention written out."""
    return scaled_dot_product_attention(query, key, value, causal_mask(query, key))


def sdpa_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Causal attention in PyTorch's fused kernels, which never hold the whole score matrix (arXiv 2205.14135).

    But for short sequences in bf16 on a CPU, where these are slow: see `unfused_attention`.
    """
    if query.shape[-2] != key.shape[-2]:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=causal_mask(query, key))
    if query.device.type == "cpu" and query.dtype is torch.bfloat16 and query.shape[-2] <= LONGEST_UNFUSED:
        return unfused_attention(query, key, value)
    return F.scaled_dot_product_attention(query, key, value, is_causal=True)


def unfused_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Causal attention as two batched products around PyTorch's softmax, which keeps the scores of every head.

    (batch, heads, seq, d_head) -> (batch, heads, seq, d_head)
    In bf16 a processor multiplies several times as fast this way as its fused kernel does, while the scores are few.
    """
    later = torch.full((query.shape[-2], key.shape[-2]), -math.inf, dtype=query.dtype, device=query.device).triu(1)
    queries, keys, values = (x.flatten(0, 1) for x in (query, key, value))
    scores = torch.baddbmm(later, queries, keys.mT, alpha=query.shape[-1] ** -0.5)
    return torch.bmm(scores.softmax(-1), values).view_as(query)


def causal_mask(query: Tensor, key: Tensor) -> Tensor:
    """(queries, keys), True where the key's position is not after the query's."""
    num_queries, num_keys = query.shape[-2], key.shape[-2]
    everywhere = torch.ones(num_queries, num_keys, dtype=torch.bool, device=query.device)
    return everywhere.tril(num_keys - num_queries)


class KeyValueCache:
    """The keys and values of the positions that one attention layer has seen, so that each is computed once."""

    def __init__(self, context_length: int) -> None:
        self.context_length = context_length
        self.num_positions = 0

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, heads, new positions, d_head) -> (batch, heads, all positions so far, d_head)"""
        if self.num_positions == 0:
            shape = (*key.shape[:-2], self.context_length, key.shape[-1])
            self._keys, self._values = key.new_empty(shape), value.new_empty(shape)
        new = slice(self.num_positions, self.num_positions + key.shape[-2])
        self._keys[..., new, :] = key
        self._values[..., new, :] = value
        self.num_positions = new.stop
        return self._keys[..., : new.stop, :], self._values[..., : new.stop, :]


class MultiHeadSelfAttention(nn.Module):
    """Each position looks, in every head, at itself and the positions before it (arXiv 1706.03762).

    (batch, seq, d_model) -> (batch, seq, d_model)
    `qkv` stacks the query, key and value projections in this order; in each, head h owns rows h * d_head and following.

    qk_norm: normalises each head's query and key before RoPE, so that scores do not grow with the weights
    (arXiv 2010.04245). RMSNorm brings a gain for each of the d_head dimensions, shared by the heads: without one no
    score could pass sqrt(d_head), which bounds how much of its attention a position can give to a single other one.
    The paper learns one scale for that, in place of the division by sqrt(d_head).
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        *,
        rope: RotaryEmbedding | None = None,
        attention: CausalAttention = sdpa_attention,
        qk_norm: Norm = nn.Identity,
    ) -> None:
        super().__init__()
        self.d_head = d_model // num_heads
        self.query_norm = qk_norm(self.d_head)
        self.key_norm = qk_norm(self.d_head)
        self.rope = rope
        self.attention = attention
        self.qkv = Linear(d_model, 3 * d_model, num_stacked=3)
        self.output = Linear(d_model, d_model)

    def forward(
        self,
        x: Tensor,
        token_positions: Tensor | None = None,
        cache: KeyValueCache | None = None,
        extra_value: Tensor | None = None,
    ) -> Tensor:
        """`token_positions` (seq) or (batch, seq) are 0, 1, ... when left out; they matter to RoPE only.

        `extra_value` (batch, seq, d_model) is added to the values of all heads; see `model.value_embedding`.
        """
        query, key, value = (self._split_heads(part) for part in self.qkv(x).chunk(3, dim=-1))
        query, key = self.query_norm(query), self.key_norm(key)
        if extra_value is not None:
            value = value + self._split_heads(extra_value).to(value.dtype)
        if self.rope is not None:
            if token_positions is None:
                token_positions = torch.arange(x.shape[-2], device=x.device)
            positions = token_positions.unsqueeze(-2)  # one row for all heads
            query, key = self.rope(query, positions), self.rope(key, positions)
        if cache is not None:
            key, value = cache.append(key, value)
        return self.output(self._join_heads(self.attention(query, key, value)))

    def _split_heads(self, x: Tensor) -> Tensor:
        """(batch, seq, heads * d_head) -> (batch, heads, seq, d_head)"""
        return x.view(*x.shape[:-1], -1, self.d_head).transpose(-3, -2)

    def _join_heads(self, x: Tensor) -> Tensor:
        """(batch, heads, seq, d_head) -> (batch, seq, heads * d_head)"""
        return x.transpose(-3, -2).flatten(-2)
