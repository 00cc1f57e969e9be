"""How many floating-point operations a forward and a backward pass take.

Matrix products only, a multiply-add as two, the convention of the literature and of hardware figures: a product of
(m, k) and (k, n) is 2 m k n. Element-wise operations are apart, in `elementwise`: memory limits them, not FLOPs.

Two conventions for attention, each labelled wherever it is shown:

dense    all S x S scores, as a plain matrix product computes them, and as the write-up, PaLM's MFU (arXiv 2204.02311,
         appendix B) and nanoGPT count. MFU uses this one.
causal   only the S (S + 1) / 2 scores that a causal model needs, which a fused kernel can skip to.
"""

from dataclasses import dataclass
from typing import Literal

from tinylm.accounting.parameters import FEED_FORWARD_MATRICES
from tinylm.accounting.shape import ModelShape

Attention = Literal["dense", "causal"]

BACKWARD_PER_FORWARD = 2
"""Each product y = x W has two in its backward pass, for the gradients of x and of W, of the same size."""


@dataclass(frozen=True)
class ForwardFlops:
    """FLOPs of a forward pass by component."""

    attention_projections: int
    attention_scores: int
    attention_values: int
    feed_forward: int
    lm_head: int

    @property
    def total(self) -> int:
        """All components."""
        return sum(vars(self).values())


def forward_flops(shape: ModelShape, batch_size: int = 1, attention: Attention = "dense") -> ForwardFlops:
    """FLOPs of a forward pass over `batch_size` sequences of `context_length` tokens."""
    length, width = shape.context_length, shape.d_model
    tokens = batch_size * length
    pairs = length**2 if attention == "dense" else length * (length + 1) // 2
    mixing = shape.num_layers * batch_size * 2 * pairs * width
    matrices = FEED_FORWARD_MATRICES[shape.feed_forward]
    return ForwardFlops(
        attention_projections=shape.num_layers * tokens * 2 * 4 * width**2,
        attention_scores=mixing,
        attention_values=mixing,
        feed_forward=shape.num_layers * tokens * 2 * matrices * width * shape.d_ff,
        lm_head=tokens * 2 * width * shape.vocab_size,
    )


def training_flops(shape: ModelShape, batch_size: int = 1, attention: Attention = "dense") -> int:
    """FLOPs of a forward and a backward pass over `batch_size` sequences, without the optimizer's."""
    return (1 + BACKWARD_PER_FORWARD) * forward_flops(shape, batch_size, attention).total


def training_flops_per_token(shape: ModelShape, attention: Attention = "dense") -> int:
    """Forward and backward FLOPs of a token, what MFU is reckoned with: 6 (matmul parameters) + 12 L S D when dense."""
    return training_flops(shape, 1, attention) // shape.context_length
