"""Bytes that a training step holds besides parameters, gradients and optimizer state.

They are what autograd keeps from the forward pass of `tinylm.model` (each tensor once, however many operations need it)
and what the backward pass needs on top at its most demanding moments. Tests compare both with what PyTorch allocates;
they fail when the model begins to keep something else.

The residual stream, the norms and the loss are float32 under either precision; inputs and outputs of matrix products
are as wide as the precision says, and bf16 keeps a copy of each matrix. Not counted: that the blocks of a GPU's
allocator can be a megabyte larger than was asked.
"""

from dataclasses import dataclass, fields
from typing import Literal

from tinylm.accounting.parameters import count_parameters
from tinylm.accounting.shape import ModelShape

Precision = Literal["fp32", "bf16"]
DeviceType = Literal["cpu", "cuda"]
"""Whose kernels compute: in fp32 they lay out attention's output differently."""

FP32 = 4
WIDTH = {"fp32": 4, "bf16": 2}
TOKEN_ID = 8

Attention = Literal["fused", "unfused", "manual"]
"""What `model.attention` computes with: one kernel; library products and softmax; or its own, written out."""
LONGEST_UNFUSED = 512
"""As `model.attention` has it."""

FEED_FORWARD_KEPT = {"swiglu": 5, "silu": 3, "relu2": 2}
"""Tensors of d_ff: gate, up, sigmoid(gate), silu(gate) and their product; or up, sigmoid(up) and silu(up); or relu(up)
and its square."""


@dataclass(frozen=True)
class Kept:
    """Bytes kept from the forward pass of one micro-batch, by the part that needs them."""

    token_ids: int
    embedding_norm: int
    value_embedding: int
    """What one looked up."""
    skip_connections: int
    attention: int
    """One block's attention with its norm."""
    attention_with_value_embedding: int
    """The same of a block that has a value embedding."""
    feed_forward: int
    """One block's feed-forward with its norm."""
    head: int
    """Final norm and head."""
    loss: int


def times_kept(shape: ModelShape) -> dict[str, int]:
    """How many of each part of `Kept` a model has."""
    once = dict.fromkeys((field.name for field in fields(Kept)), 1)
    layers, tables = shape.num_layers, shape.value_embeddings
    attention = {"attention": layers - tables, "attention_with_value_embedding": tables}
    return once | attention | {"feed_forward": layers, "value_embedding": tables}


def kept_activations(
    shape: ModelShape, batch_size: int, precision: Precision = "fp32", device: DeviceType = "cpu"
) -> Kept:
    """What autograd keeps of a forward pass over `batch_size` sequences."""
    tokens, width = batch_size * shape.context_length, WIDTH[precision]
    logits = FP32 * tokens * shape.vocab_size
    return Kept(
        token_ids=2 * TOKEN_ID * tokens,
        embedding_norm=rms_norm_keeps(tokens, shape.d_model) if shape.embedding_norm else 0,
        value_embedding=FP32 * tokens * shape.d_model if shape.value_embeddings else 0,
        skip_connections=shape.num_skips * FP32 * tokens * shape.d_model if skips_keep(shape, width) else 0,
        attention=kept_by_attention(shape, batch_size, width, device),
        attention_with_value_embedding=(
            kept_by_attention(shape, batch_size, width, device, extra_value=True) if shape.value_embeddings else 0
        ),
        feed_forward=kept_by_feed_forward(shape, tokens, width),
        head=kept_by_norm(shape, tokens)
        + width * tokens * shape.d_model
        + weight_copy(shape.d_model * shape.vocab_size, width),
        loss=logit_tensors(shape) * logits,
    )


def logit_tensors(shape: ModelShape) -> int:
    """Tensors of the logits' size that the loss keeps: one fused, three written out; a soft-cap adds its tanh."""
    return (1 if shape.attention == "sdpa" else 3) + (1 if shape.logit_softcap else 0)


def kept_by_norm(shape: ModelShape, tokens: int) -> int:
    """One of the blocks' norms, or the final one."""
    return rms_norm_keeps(tokens, shape.d_model) if shape.norm == "rmsnorm" else 0


def rms_norm_keeps(rows: int, row_width: int) -> int:
    """RMSNorm: its input, the normalised input and the reciprocal root of each row."""
    return FP32 * rows * (2 * row_width + 1)


def skips_keep(shape: ModelShape, width: int) -> bool:
    """Whether skip connections keep what the next block does not keep anyway: its norm, or in fp32 its projections."""
    norm_is_next = shape.norm == "rmsnorm" and shape.norm_placement == "pre"
    return shape.skip_connections and width < FP32 and not norm_is_next


def kept_by_attention(
    shape: ModelShape, batch_size: int, width: int, device: DeviceType, *, extra_value: bool = False
) -> int:
    """Norm, projections, and the attention itself: fused, or with three matrices of scores a head."""
    length, d_model, heads = shape.context_length, shape.d_model, shape.num_heads
    tokens = batch_size * length
    kept = kept_by_norm(shape, tokens) + kept_by_qk_norm(shape, tokens, width) + weight_copy(4 * d_model**2, width)
    kept += (1 + attention_rows(shape, batch_size, width, device, extra_value=extra_value)) * width * tokens * d_model
    if shape.position == "rope":
        kept += 4 * FP32 * length * (shape.d_head // 2)  # cosines and sines, for query and for key
    scores = width * tokens * length * heads
    match attention_kernel(shape, width, device):
        case "fused":
            return kept + FP32 * tokens * heads  # logarithms of the sums
        case "unfused":
            return kept + scores  # probabilities
        case "manual":
            rows = tokens * heads
            kept += 2 * scores + width * rows  # masked and probabilities; maxima
            return kept + exponentials_width(width, device) * rows * (length + 1) + length**2  # with sums; the mask


def exponentials_width(width: int, device: DeviceType) -> int:
    """Bytes of an exponential in attention written out, and of their sums: a GPU's autocast has them in float32."""
    return FP32 if device == "cuda" else width


def attention_kernel(shape: ModelShape, width: int, device: DeviceType) -> Attention:
    """Which of its ways `model.attention` takes."""
    if shape.attention == "manual":
        return "manual"
    short = shape.context_length <= LONGEST_UNFUSED
    return "unfused" if short and width < FP32 and device == "cpu" else "fused"


def attention_rows(
    shape: ModelShape, batch_size: int, width: int, device: DeviceType, *, extra_value: bool = False
) -> int:
    """Tensors of d_model kept behind the projections: query, key, value, output, and what they are parts or copies of.

    Where all three of them were made anew (rotated or normalised, with an extra value), nothing keeps the stack.
    """
    rope, fused = shape.position == "rope", attention_kernel(shape, width, device) == "fused"
    if not fused and batch_size > 1:
        return 4 + 3 * norm_keeps_stack(shape, width)  # the batched products take copies
    new_query_and_key = are_made_anew(shape)
    stack = 3 * (norm_keeps_stack(shape, width) or not (new_query_and_key and extra_value))
    by_tokens = device == "cuda" and width == FP32  # that kernel's output; the others' is laid out as the rotated query
    laid_out_anew = rope and fused and not by_tokens
    return stack + 2 * new_query_and_key + extra_value + 1 + laid_out_anew


def are_made_anew(shape: ModelShape) -> bool:
    """Whether query and key are no longer parts of the stack when attention has them."""
    return shape.position == "rope" or shape.qk_norm


def norm_keeps_stack(shape: ModelShape, width: int) -> bool:
    """Whether QK-norm keeps the stack as its input; a bf16 one is kept as a float32 copy, by `kept_by_qk_norm`."""
    return shape.qk_norm and width == FP32


def kept_by_qk_norm(shape: ModelShape, tokens: int, width: int) -> int:
    """The normalised query and key and the reciprocal roots of each head; in bf16 their float32 copies as well."""
    rows = 2 if width == FP32 else 4
    return FP32 * tokens * (rows * shape.d_model + 2 * shape.num_heads) if shape.qk_norm else 0


def kept_by_feed_forward(shape: ModelShape, tokens: int, width: int) -> int:
    """Norm, and every tensor of d_ff on the way."""
    matrices = count_parameters(shape).per_block.feed_forward
    inner = FEED_FORWARD_KEPT[shape.feed_forward] * width * tokens * shape.d_ff
    return kept_by_norm(shape, tokens) + width * tokens * shape.d_model + inner + weight_copy(matrices, width)


def weight_copy(weights: int, width: int) -> int:
    """Autocast keeps a bf16 copy of each matrix it multiplied with."""
    return width * weights if width < FP32 else 0


def loss_workspace(shape: ModelShape, tokens: int) -> int:
    """Gradients of the logits while the loss is differentiated: two in the fused kernel's chain, one in ours.

    Ours also compares the logits with their maximum; a CPU turns that mask of bytes into floats first.
    """
    logits = FP32 * tokens * shape.vocab_size
    return 2 * logits if shape.attention == "sdpa" else logits + tokens * shape.vocab_size


def attention_workspace(
    shape: ModelShape, batch_size: int, width: int, device: DeviceType, *, extra_value: bool
) -> int:
    """Gradients inside attention: query's, key's and value's; or matrices of scores, when the value is gone already.

    Those are two, or four as wide as the exponentials, and beside wider ones the probabilities' own.
    """
    tokens = batch_size * shape.context_length
    row, scores = width * tokens * shape.d_model, tokens * shape.context_length * shape.num_heads
    gone = value_rows(shape, batch_size, width, extra_value=extra_value) * row
    match attention_kernel(shape, width, device):
        case "fused":
            return 3 * row
        case "unfused":
            return 2 * width * scores - gone
        case "manual":
            exponential = exponentials_width(width, device)
            return (4 * exponential + (width if exponential > width else 0)) * scores - gone


def value_rows(shape: ModelShape, batch_size: int, width: int, *, extra_value: bool) -> int:
    """Tensors of d_model that only attention's value keeps: itself, the stack that it is part of, or none."""
    if batch_size > 1 or extra_value:
        return 1
    return 3 if are_made_anew(shape) and not norm_keeps_stack(shape, width) else 0


def feed_forward_workspace(shape: ModelShape, tokens: int, width: int) -> int:
    """Two gradients of d_ff at a time."""
    return 2 * width * tokens * shape.d_ff
