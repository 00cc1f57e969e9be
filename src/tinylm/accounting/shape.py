"""What accounting needs to know of a model."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # validating costs an import of pydantic, which a preset does without
    from tinylm.configs.model import ModelConfig


@dataclass(frozen=True)
class ModelShape:
    """The fields of `ModelConfig` that cost something, as plain data; the two agree in names and defaults."""

    vocab_size: int
    context_length: int
    d_model: int
    num_layers: int
    num_heads: int
    d_ff: int
    position: Literal["rope", "none"] = "rope"
    norm: Literal["rmsnorm", "none"] = "rmsnorm"
    norm_placement: Literal["pre", "post"] = "pre"
    embedding_norm: bool = False
    qk_norm: bool = False
    feed_forward: Literal["swiglu", "silu", "relu2"] = "swiglu"
    tie_embeddings: bool = False
    value_embeddings: int = 0
    skip_connections: bool = False
    logit_softcap: float = 0.0
    attention: Literal["sdpa", "manual"] = "sdpa"

    @classmethod
    def of(cls, config: "ModelConfig") -> "ModelShape":
        """The shape of a validated configuration."""
        return cls(**{field.name: getattr(config, field.name) for field in fields(cls)})

    @property
    def d_head(self) -> int:
        """Width of one attention head."""
        return self.d_model // self.num_heads

    @property
    def num_skips(self) -> int:
        """Connections from a block of the first half to its mirror image, with a block in between."""
        return (self.num_layers - 1) // 2 if self.skip_connections else 0
