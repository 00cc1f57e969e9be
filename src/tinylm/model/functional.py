"""The mathematics of the model, written out."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def softmax(x: Tensor, dim: int = -1) -> Tensor:
    """exp(x) / sum(exp(x)) along `dim`; subtracting the maximum first changes nothing but the overflow."""
    exponentials = torch.exp(x - x.amax(dim, keepdim=True))
    return exponentials / exponentials.sum(dim, keepdim=True)


def silu(x: Tensor) -> Tensor:
    """x * sigmoid(x), also called swish (arXiv 1702.03118)."""
    return x * torch.sigmoid(x)


def relu_squared(x: Tensor) -> Tensor:
    """max(x, 0)^2 (arXiv 2109.08668)."""
    positive = torch.relu(x)
    return positive * positive  # no power: autocast computes those in float32 on a GPU


def softcap(x: Tensor, cap: float) -> Tensor:
    """cap * tanh(x / cap): x where it is small, never beyond +-cap (Gemma 2, arXiv 2408.00118); in float32."""
    return cap * torch.tanh(x.float() / cap)


def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """softmax(query key^T / sqrt(d_head)) value (arXiv 1706.03762).

    (..., queries, d_head), (..., keys, d_head), (..., keys, d_value) -> (..., queries, d_value)
    mask: (..., queries, keys), True where a query may look; each query needs at least one such key.
    """
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return softmax(scores).to(value.dtype) @ value


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean of -log softmax(logits)[target], in nats and in float32.

    (..., vocab), (...) -> ()
    log sum exp is taken of logits whose maximum is 0, so that large logits neither overflow nor lose the answer.
    """
    logits = logits.float()
    logits = logits - logits.amax(-1, keepdim=True)
    of_targets = logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return (logits.exp().sum(-1).log() - of_targets).mean()


def fused_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """`cross_entropy` by PyTorch's kernel, which keeps one copy of the logits fewer."""
    return F.cross_entropy(logits.flatten(0, -2).float(), targets.flatten())
