"""What everything but the matrix products adds: about one percent, and its cost is memory traffic rather than FLOPs."""

from tinylm.accounting.shape import ModelShape

NORM = 4
"""Per element of RMSNorm: square, sum, scale by the reciprocal root, weight."""
ROTATION = 3
"""Per element of RoPE: a pair takes four products and two sums."""
SOFTMAX = 6
"""Per score: scale, maximum, difference, exponential, sum, quotient."""
SILU = 4
"""x / (1 + exp(-x)): negation, exponential, sum, quotient."""
FEED_FORWARD = {"swiglu": SILU + 1, "silu": SILU, "relu2": 2}
"""Per element of d_ff: SiLU and the product with the gate; SiLU; maximum and product."""
LOSS = 4
"""Per logit of the cross-entropy: maximum, difference, exponential, sum."""

SOFT_CAP = 3
"""Per logit: quotient, hyperbolic tangent, product."""


def elementwise_forward_flops(shape: ModelShape, batch_size: int = 1) -> int:
    """Operations of a forward pass with its loss outside of matrix products, each counted as one."""
    length, width = shape.context_length, shape.d_model
    norm = NORM * width if shape.norm == "rmsnorm" else 0
    qk_norm = NORM * 2 * width if shape.qk_norm else 0
    rotation = ROTATION * 2 * width if shape.position == "rope" else 0
    softmax = SOFTMAX * shape.num_heads * length
    residuals = 2 * width
    block = 2 * norm + qk_norm + rotation + softmax + FEED_FORWARD[shape.feed_forward] * shape.d_ff + residuals
    embedding_norm = NORM * width if shape.embedding_norm else 0
    logits = LOSS + (SOFT_CAP if shape.logit_softcap else 0)
    return batch_size * length * (embedding_norm + shape.num_layers * block + norm + logits * shape.vocab_size)
