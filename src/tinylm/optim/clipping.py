"""Gradient clipping."""

from collections.abc import Iterable

import torch
from torch import Tensor


@torch.no_grad()
def clip_gradients(parameters: Iterable[Tensor], max_norm: float) -> Tensor:
    """Scale all gradients so that together their L2 norm is at most `max_norm`; returns the norm they had, a tensor ().

    Nothing waits for the device: the factor min(1, max_norm / (norm + 1e-6)) is applied wherever it is computed.
    `math.inf` clips nothing and only measures.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    torch._foreach_mul_(gradients, (max_norm / (norm + 1e-6)).clamp(max=1.0))
    return norm
