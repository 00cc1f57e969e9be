"""How many parameters a model has, component by component."""

from dataclasses import dataclass

from tinylm.accounting.shape import ModelShape

FEED_FORWARD_MATRICES = {"swiglu": 3, "silu": 2, "relu2": 2}
"""Each of d_model x d_ff: a gated network has one more."""


@dataclass(frozen=True)
class BlockParameters:
    """Parameters of one transformer block."""

    norms: int
    qk_norms: int
    attention_qkv: int
    attention_output: int
    feed_forward: int
    total: int


@dataclass(frozen=True)
class Parameters:
    """Parameters of a model; a tied head has none of its own."""

    token_embedding: int
    embedding_norm: int
    per_block: BlockParameters
    blocks: int
    skip_weights: int
    value_embeddings: int
    final_norm: int
    lm_head: int
    total: int
    non_embedding: int
    """`total` without the token and value embeddings, which are looked up rather than multiplied."""
    matmul: int
    """Weights that multiply every token: all matrices, the head too when it is the embedding. FLOPs follow these."""


def count_parameters(shape: ModelShape) -> Parameters:
    """Count what `build_model` would allocate: no biases, no position embedding."""
    embedding = shape.vocab_size * shape.d_model
    norm = shape.d_model if shape.norm == "rmsnorm" else 0
    block = count_block(shape, norm)
    blocks = shape.num_layers * block.total
    head = 0 if shape.tie_embeddings else embedding
    embedding_norm = shape.d_model if shape.embedding_norm else 0
    value_embeddings = shape.value_embeddings * (embedding + 1)  # and a scale
    total = embedding + embedding_norm + blocks + shape.num_skips + value_embeddings + norm + head
    return Parameters(
        token_embedding=embedding,
        embedding_norm=embedding_norm,
        per_block=block,
        blocks=blocks,
        skip_weights=shape.num_skips,
        value_embeddings=value_embeddings,
        final_norm=norm,
        lm_head=head,
        total=total,
        non_embedding=total - embedding - value_embeddings,
        matmul=blocks - shape.num_layers * (block.norms + block.qk_norms) + embedding,
    )


def count_block(shape: ModelShape, norm: int) -> BlockParameters:
    """One block with two normalization layers of `norm` parameters each."""
    square = shape.d_model**2
    feed_forward = FEED_FORWARD_MATRICES[shape.feed_forward] * shape.d_model * shape.d_ff
    qk_norms = 2 * shape.d_head if shape.qk_norm else 0
    return BlockParameters(
        norms=2 * norm,
        qk_norms=qk_norms,
        attention_qkv=3 * square,
        attention_output=square,
        feed_forward=feed_forward,
        total=2 * norm + qk_norms + 4 * square + feed_forward,
    )
