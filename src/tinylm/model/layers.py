"""The layers everything else is made of: Linear, Embedding, RMSNorm, SoftCap."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from tinylm.model.functional import softcap


class Linear(nn.Module):
    """x W^T without bias; W has std sqrt(2 / (in + out)), cut at 3 std.

    (..., in_features) -> (..., out_features)
    `num_stacked` matrices may share one weight, one above the other, since one large product is faster than several
    small ones; each is initialised (and by Muon updated) as if it stood alone.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        num_stacked: int = 1,
    ) -> None:
        super().__init__()
        self.num_stacked = num_stacked
        self.weight = nn.Parameter(torch.empty(out_features, in_features, device=device, dtype=dtype))
        init_truncated_normal(self.weight, std=math.sqrt(2 / (in_features + out_features // num_stacked)))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.T


class Embedding(nn.Module):
    """A vector for each token id; std 1 unless told otherwise, cut at 3 std.

    (...) of ids -> (..., embedding_dim)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        std: float = 1.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_embeddings, embedding_dim, device=device, dtype=dtype))
        init_truncated_normal(self.weight, std=std)

    def forward(self, token_ids: Tensor) -> Tensor:
        return self.weight[token_ids]

    def logits(self, x: Tensor) -> Tensor:
        """(..., embedding_dim) -> (..., num_embeddings): the products with every token's vector, for a tied head."""
        return x @ self.weight.T


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight, over the last dimension (arXiv 1910.07467).

    Computed in float32, since squares overflow and means lose digits in half precision; returned in the type of x.
    """

    def __init__(
        self,
        d_model: int,
        eps: float = 1e-5,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model, device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        x_float = x.float()
        inverse_rms = torch.rsqrt(x_float.square().mean(-1, keepdim=True) + self.eps)
        return (x_float * inverse_rms * self.weight).to(x.dtype)


class SoftCap(nn.Module):
    """`softcap` of each number, with no parameter: a model that is sure already gains little by being surer.

    (...) -> (...) in float32, for near the cap half precision cannot tell one logit from another.
    """

    def __init__(self, cap: float) -> None:
        super().__init__()
        self.cap = cap

    def forward(self, x: Tensor) -> Tensor:
        return softcap(x, self.cap)


Norm = Callable[[int], nn.Module]
"""A width -> a layer (..., width) -> (..., width); `nn.Identity` where there is to be none."""


@torch.no_grad()
def init_truncated_normal(weight: Tensor, *, std: float, cut: float = 3.0) -> None:
    """Fill with draws from N(0, std^2) that lie within `cut` std, by inverting the cumulative distribution."""
    edge = math.erf(cut / math.sqrt(2))
    weight.uniform_(-edge, edge).erfinv_().mul_(std * math.sqrt(2))
