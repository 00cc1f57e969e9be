"""The `[model]` table."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tinylm.configs.base import Table

Size = Annotated[int, Field(gt=0, le=2**31 - 1)]


class ModelConfig(Table):
    """A decoder-only transformer. The defaults are the write-up's TinyStories model, 35,938,816 parameters."""

    vocab_size: Size = 10_000
    """Number of token ids; at least as many as the tokenizer has."""
    context_length: Size = 256
    """Longest sequence, in tokens."""
    d_model: Size = 512
    """Width of the residual stream."""
    num_layers: Size = 8
    """Number of transformer blocks."""
    num_heads: Size = 8
    """Attention heads; must divide d_model into an even d_head when position is rope."""
    d_ff: Size = 1408
    """Inner width of the feed-forward network."""
    rope_theta: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 10_000.0
    """Base of the rotary frequencies."""
    position: Literal["rope", "none"] = "rope"
    """Position information: rotary embeddings, or none (`--no-rope`)."""
    norm: Literal["rmsnorm", "none"] = "rmsnorm"
    """Normalization layers: RMSNorm, or identity (`--no-rmsnorm`)."""
    norm_placement: Literal["pre", "post"] = "pre"
    """Normalize before each sub-layer, or after the residual addition (`--post-norm`)."""
    embedding_norm: bool = False
    """RMSNorm after the token embedding (BLOOM, arXiv 2211.05100, there LayerNorm); whatever `norm` says."""
    qk_norm: bool = False
    """RMSNorm, with a gain, on each head's query and key before RoPE (arXiv 2010.04245); whatever `norm` says."""
    feed_forward: Literal["swiglu", "silu", "relu2"] = "swiglu"
    """Three matrices with a gate; or two, to match with d_ff x 3/2, SiLU (`--ffn-silu`) or ReLU squared between."""
    tie_embeddings: bool = False
    """Use the token embedding as output projection (`--weight-tying`)."""
    value_embeddings: Annotated[int, Field(ge=0)] = 0
    """How many of the last blocks add to their attention's values a learned vector per token (arXiv 2410.17897)."""
    skip_connections: bool = False
    """Add outputs of the first half's blocks, weighted, to the inputs of the second's (U-Net, arXiv 1505.04597)."""
    zero_init_outputs: bool = False
    """Start attention output and feed-forward down projection, not the head, at zero (Fixup, arXiv 1901.09321)."""
    logit_softcap: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Logits become c tanh(logits / c), in training and sampling (Gemma 2, arXiv 2408.00118: c = 30); 0 for none."""
    attention: Literal["sdpa", "manual"] = "sdpa"
    """PyTorch's kernels, whichever are fastest, or ours written out; the same numbers."""

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> "ModelConfig":
        if self.d_model % self.num_heads:
            raise ValueError(
                f"d_model {self.d_model} is not divisible by num_heads {self.num_heads}; "
                f"try num_heads = {_nearest_divisor(self.d_model, self.num_heads)}"
            )
        if self.position == "rope" and self.d_head % 2:
            raise ValueError(f"d_head = d_model / num_heads = {self.d_head} is odd, but RoPE rotates pairs")
        return self

    @model_validator(mode="after")
    def _blocks_suffice_for_the_options(self) -> "ModelConfig":
        if self.value_embeddings > self.num_layers:
            raise ValueError(
                f"value_embeddings {self.value_embeddings} is more than num_layers {self.num_layers}: one block has one"
            )
        if self.skip_connections and self.num_layers < 3:
            raise ValueError(
                f"skip_connections needs num_layers of at least 3, not {self.num_layers}: they lead past a block"
            )
        return self

    @property
    def d_head(self) -> int:
        """Width of one attention head."""
        return self.d_model // self.num_heads


def _nearest_divisor(number: int, wanted: int) -> int:
    candidates = (n for n in range(1, min(number, 4 * wanted) + 1) if number % n == 0)
    return min(candidates, key=lambda n: abs(n - wanted))
