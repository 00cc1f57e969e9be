"""The transformer, every layer from scratch.

functional: the mathematics; layers: Linear, Embedding, RMSNorm; rope, attention, feed_forward: a block's parts;
transformer: the block and the model; build: from a ModelConfig to a model.
"""

from tinylm.model.attention import MultiHeadSelfAttention
from tinylm.model.build import build_model
from tinylm.model.feed_forward import SwiGLU
from tinylm.model.functional import cross_entropy, scaled_dot_product_attention, silu, softmax
from tinylm.model.layers import Embedding, Linear, RMSNorm
from tinylm.model.rope import RotaryEmbedding
from tinylm.model.transformer import TransformerBlock, TransformerLM

__all__ = [
    "Embedding",
    "Linear",
    "MultiHeadSelfAttention",
    "RMSNorm",
    "RotaryEmbedding",
    "SwiGLU",
    "TransformerBlock",
    "TransformerLM",
    "build_model",
    "cross_entropy",
    "scaled_dot_product_attention",
    "silu",
    "softmax",
]
