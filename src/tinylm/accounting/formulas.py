"""Each count as an expression that a person reads and a test evaluates.

S context_length, D d_model, F d_ff, V vocab_size, L num_layers, H num_heads, B batch_size, P parameters in total.
"""

from tinylm.accounting.optimizers import ADAMW_FLOPS_PER_PARAMETER
from tinylm.accounting.parameters import FEED_FORWARD_MATRICES
from tinylm.accounting.shape import ModelShape

SYMBOLS = (
    "S context_length, D d_model, F d_ff, V vocab_size, L num_layers, H num_heads, B batch_size, P parameters in total"
)


def symbols(shape: ModelShape, batch_size: int = 1) -> dict[str, int]:
    """What the letters stand for."""
    return {
        "S": shape.context_length,
        "D": shape.d_model,
        "F": shape.d_ff,
        "V": shape.vocab_size,
        "L": shape.num_layers,
        "H": shape.num_heads,
        "B": batch_size,
    }


def parameter_formulas(shape: ModelShape) -> dict[str, str]:
    """Parameters by component; those of a block, of one block."""
    norm = "D" if shape.norm == "rmsnorm" else "0"
    return {
        "token_embedding": "V * D",
        "norms": f"2 * {norm}",
        "attention_qkv": "3 * D**2",
        "attention_output": "D**2",
        "feed_forward": f"{FEED_FORWARD_MATRICES[shape.feed_forward]} * D * F",
        "final_norm": norm,
        "lm_head": "0" if shape.tie_embeddings else "V * D",
    }


def forward_formulas(shape: ModelShape) -> dict[str, str]:
    """Forward FLOPs by component, in the dense convention."""
    return {
        "attention_projections": "2 * B * S * 4 * D**2 * L",
        "attention_scores": "2 * B * S**2 * D * L",
        "attention_values": "2 * B * S**2 * D * L",
        "feed_forward": f"2 * B * S * {FEED_FORWARD_MATRICES[shape.feed_forward]} * D * F * L",
        "lm_head": "2 * B * S * D * V",
    }


CAUSAL_SCORES = "2 * B * S * (S + 1) // 2 * D * L"
"""Scores, and as much again for the values, in the causal convention."""

ADAMW_STEP = f"{ADAMW_FLOPS_PER_PARAMETER} * P"
