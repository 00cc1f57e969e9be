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

CONNECTION = 2
"""Per element of a value embedding or skip connection: product with its scalar, sum."""
SOFT_CAP = 3
"""Per logit: quotient, hyperbolic tangent, product."""


def elementwise_forward_flops(shape: ModelShape, batch_size: int = 1) -> int:
    """Operations of a forward pass with its loss outside of matrix products, each counted as one."""
    width = shape.d_model
    final_norm = NORM * width if shape.norm == "rmsnorm" else 0
    embedding_norm = NORM * width if shape.embedding_norm else 0
    connections = CONNECTION * width * (shape.value_embeddings + shape.num_skips)
    logits = (LOSS + (SOFT_CAP if shape.logit_softcap else 0)) * shape.vocab_size
    a_token = embedding_norm + shape.num_layers * block_flops_per_token(shape) + connections + final_norm + logits
    return batch_size * shape.context_length * a_token


def block_flops_per_token(shape: ModelShape) -> int:
    """Norms, rotation, softmax over a whole context, what lies between the feed-forward's matrices, residual sums."""
    width = shape.d_model
    norms = 2 * NORM * width if shape.norm == "rmsnorm" else 0
    qk_norms = 2 * NORM * width if shape.qk_norm else 0
    rotation = 2 * ROTATION * width if shape.position == "rope" else 0
    softmax = SOFTMAX * shape.num_heads * shape.context_length
    return norms + qk_norms + rotation + softmax + FEED_FORWARD[shape.feed_forward] * shape.d_ff + 2 * width
