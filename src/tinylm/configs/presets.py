"""Well-known model shapes by name; plain values, so that accounting needs no pydantic."""

from typing import Any

MODEL_PRESETS: dict[str, dict[str, Any]] = {
    "gpt2-small": {
        "vocab_size": 50_257, "context_length": 1024, "d_model": 768, "num_layers": 12, "num_heads": 12, "d_ff": 3072,
    },
    "gpt2-medium": {
        "vocab_size": 50_257, "context_length": 1024, "d_model": 1024, "num_layers": 24, "num_heads": 16, "d_ff": 4096,
    },
    "gpt2-large": {
        "vocab_size": 50_257, "context_length": 1024, "d_model": 1280, "num_layers": 36, "num_heads": 20, "d_ff": 5120,
    },
    "gpt2-xl": {
        "vocab_size": 50_257, "context_length": 1024, "d_model": 1600, "num_layers": 48, "num_heads": 25, "d_ff": 6400,
    },
    "tinystories": {
        "vocab_size": 10_000, "context_length": 256, "d_model": 512, "num_layers": 8, "num_heads": 8, "d_ff": 1408,
    },
    "owt": {
        "vocab_size": 32_000, "context_length": 256, "d_model": 512, "num_layers": 8, "num_heads": 8, "d_ff": 1408,
        "tie_embeddings": True,
    },
}  # fmt: skip
"""GPT-2's sizes (with the modern block: RMSNorm, RoPE, SwiGLU) and the write-up's two models."""
