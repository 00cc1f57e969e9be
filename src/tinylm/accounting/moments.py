"""The moments of a training step at which its memory can peak.

Along the backward pass the kept activations shrink and the gradients grow, block by block at a constant rate: the last
or the first block is the extreme. Within a block the feed-forward comes first, with its d_ff-wide tensors, then
attention.
"""

from dataclasses import dataclass

from tinylm.accounting.activations import (
    FP32,
    WIDTH,
    DeviceType,
    Precision,
    attention_workspace,
    feed_forward_workspace,
    kept_activations,
    kept_by_norm,
    loss_workspace,
    weight_copy,
)
from tinylm.accounting.optimizers import Optimizer, optimizer_workspace_bytes
from tinylm.accounting.parameters import count_parameters
from tinylm.accounting.shape import ModelShape


@dataclass(frozen=True)
class Training:
    """How a model is trained, as far as memory depends on it."""

    optimizer: Optimizer = "adamw"
    precision: Precision = "fp32"
    grad_accumulation: int = 1
    checkpointing: bool = False
    """Whether each block's activations are computed anew in the backward pass (arXiv 1604.06174); `train` does not."""
    device: DeviceType = "cpu"


class Moments:
    """Bytes at each moment of the last micro-batch, beside parameters, buffers and optimizer state."""

    def __init__(self, shape: ModelShape, batch_size: int, training: Training) -> None:
        self.shape = shape
        self.optimizer: Optimizer = training.optimizer
        self.device: DeviceType = training.device
        self.width = WIDTH[training.precision]
        self.counts = count_parameters(shape)
        self.micro_batch = batch_size // training.grad_accumulation
        self.kept = kept_activations(shape, self.micro_batch, training.precision, training.device)
        self.token_ids = self.kept.token_ids * training.grad_accumulation  # those of the whole batch
        self.tokens = self.micro_batch * shape.context_length
        self.stream = FP32 * self.tokens * shape.d_model
        self.checkpointing = training.checkpointing
        self.accumulating = training.grad_accumulation > 1
        self.all_gradients = FP32 * self.counts.total
        self.embedding = FP32 * self.counts.token_embedding

    def all(self) -> dict[str, int]:
        """Name of the moment -> bytes."""
        moments = {
            "the end of the blocks": self.end_of_blocks(),
            "the loss": self.loss(),
            "the head": self.head(),
            "the final norm": self.final_norm(),
            "the last block's feed-forward": self.feed_forward(self.shape.num_layers),
            "the last block's attention": self.attention(self.shape.num_layers),
            "the first block's feed-forward": self.feed_forward(1),
            "the first block's attention": self.attention(1),
            **self.between(),
            "the embedding's gradient": self.embedding_gradient(),
            "the optimizer step": self.all_gradients
            + optimizer_workspace_bytes(self.shape, self.optimizer, self.width),
        }
        return {name: self.token_ids + extra for name, extra in moments.items()}

    def between(self) -> dict[str, int]:
        """The most in any other block, for models whose blocks differ or are connected over others."""
        blocks = range(2, self.shape.num_layers)
        if not blocks or not (self.shape.value_embeddings or self.shape.num_skips):
            return {}
        return {
            "a middle block's feed-forward": max(map(self.feed_forward, blocks)),
            "a middle block's attention": max(map(self.attention, blocks)),
        }

    def blocks(self, remaining: int) -> int:
        """What is kept of so many blocks, and of what comes before and beside them."""
        kept = self.kept
        beside = kept.embedding_norm + self.shape.value_embeddings * kept.value_embedding + kept.skip_connections
        if self.checkpointing:
            return beside + remaining * self.stream
        attention = sum(self.kept_by_attention(block) for block in range(1, remaining + 1))
        return beside + attention + remaining * kept.feed_forward

    def kept_by_attention(self, block: int) -> int:
        """By that of block 1, 2, ..."""
        mixed = self.has_value_embedding(block)
        return self.kept.attention_with_value_embedding if mixed else self.kept.attention

    def has_value_embedding(self, block: int) -> bool:
        """The last blocks have one."""
        return block > self.shape.num_layers - self.shape.value_embeddings

    def end_of_blocks(self) -> int:
        """In the forward pass, with what its functions still hold: the embedding, the block's input, middle and output.

        Autograd keeps these anyway, but for bf16 without a norm in front, which makes it keep narrower copies.
        """
        if self.width == FP32 or (self.shape.norm == "rmsnorm" and self.shape.norm_placement == "pre"):
            return 0
        held = 3 + (self.shape.num_layers > 1) + self.shape.value_embeddings
        last = 0
        if self.shape.norm == "none":  # the last operation adds what the feed-forward made; a CPU widens it first
            last = self.stream // 2 + (self.stream if self.device == "cpu" else 0)
        return self.blocks(self.shape.num_layers) + held * self.stream + last + self.accumulating * self.all_gradients

    def loss(self) -> int:
        """Everything is kept; no gradient but those of micro-batches before."""
        kept = self.blocks(self.shape.num_layers) + self.kept.head + self.kept.loss
        return kept + loss_workspace(self.shape, self.tokens) + self.accumulating * self.all_gradients

    def head(self) -> int:
        """The gradient of its matrix appears beside those of the logits, which bf16 has already left behind."""
        logits_gradient = FP32 * self.tokens * self.shape.vocab_size if self.width == FP32 else 0
        gradients = self.embedding + self.stream + self.accumulating * self.all_gradients
        return self.blocks(self.shape.num_layers) + self.kept.head + logits_gradient + gradients

    def final_norm(self) -> int:
        """When the head has let go of what it kept."""
        kept = kept_by_norm(self.shape, self.tokens)
        return self.blocks(self.shape.num_layers) + (self.norm(kept, self.shape.num_layers, 0) if kept else 0)

    def feed_forward(self, remaining: int) -> int:
        """In the block that has `remaining` blocks up to and including it, after the gradient of its last matrix."""
        down = self.shape.d_ff * self.shape.d_model
        this_block = self.kept_by_attention(remaining) + self.kept.feed_forward
        inside = this_block - self.norm_behind() - weight_copy(down, self.width)
        inside += feed_forward_workspace(self.shape, self.tokens, self.width) + self.gradients(remaining, down)
        return self.blocks(remaining - 1) + max(
            inside, self.norm(this_block, remaining, 0) if self.norm_behind() else 0
        )

    def attention(self, remaining: int) -> int:
        """In the same block, after all that the feed-forward kept is gone, and the output's gradient is there."""
        output, feed_forward = self.shape.d_model**2, self.counts.per_block.feed_forward
        this_block = self.kept_by_attention(remaining)
        inside = this_block - self.norm_behind() - weight_copy(output, self.width)
        inside += attention_workspace(
            self.shape, self.micro_batch, self.width, self.device, extra_value=self.has_value_embedding(remaining)
        )
        inside += self.gradients(remaining, feed_forward + output)
        behind = self.norm(this_block, remaining, feed_forward) if self.norm_behind() else 0
        return self.blocks(remaining - 1) + max(inside, behind)

    def norm_behind(self) -> int:
        """What the norm of a sub-layer keeps that comes behind it, and so is gone inside: in post-norm."""
        return kept_by_norm(self.shape, self.tokens) if self.shape.norm_placement == "post" else 0

    def norm(self, kept: int, remaining: int, of_this_block: int) -> int:
        """In a norm, which differentiates what it keeps by way of three tensors as wide as the stream."""
        return kept + 3 * self.stream + self.gradients(remaining, of_this_block)

    def gradients(self, remaining: int, of_this_block: int) -> int:
        """Of the stream, and of the parameters passed so far: with a tied head, its part waits for the embedding's."""
        if self.accumulating:
            tied = self.embedding if self.shape.tie_embeddings else 0
            return self.streams(remaining) + self.all_gradients + tied
        blocks = (self.shape.num_layers - remaining) * self.counts.per_block.total
        return self.streams(remaining) + self.embedding + FP32 * (self.counts.final_norm + blocks + of_this_block)

    def streams(self, remaining: int) -> int:
        """Gradients as wide as the stream: its own, and those that wait for the block or table they came from."""
        behind = self.shape.num_layers - remaining
        of_values = min(behind, self.shape.value_embeddings)
        of_skips = min(behind, remaining - 1, self.shape.num_skips)
        return (1 + of_values + of_skips) * self.stream

    def embedding_gradient(self) -> int:
        """At the end of the backward pass: a tied head's gradient, the embedding's and their sum are three tensors.

        The stream's own is gone before they are added up.
        """
        added = max(self.stream + self.embedding, 2 * self.embedding) if self.shape.tie_embeddings else self.stream
        return self.all_gradients + added + self.accumulating * self.embedding
