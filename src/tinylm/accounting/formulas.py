"""Each count as an expression that a person reads and a test evaluates.

The letters are explained by `SYMBOLS` and `MEMORY_SYMBOLS`.
"""

from tinylm.accounting.activations import (
    FEED_FORWARD_KEPT,
    WIDTH,
    DeviceType,
    Precision,
    attention_kernel,
    attention_rows,
    logit_tensors,
    skips_keep,
)
from tinylm.accounting.optimizers import Optimizer, hidden_parameters, hidden_rows
from tinylm.accounting.parameters import FEED_FORWARD_MATRICES, count_parameters
from tinylm.accounting.shape import ModelShape

SYMBOLS = "S context_length, D d_model, F d_ff, V vocab_size, L num_layers, H num_heads, B batch_size"
MEMORY_SYMBOLS = (
    f"{SYMBOLS} (one micro-batch), E bytes an element, "
    "P parameters, M those in the blocks' matrices, R the rows of those"
)


def symbols(shape: ModelShape, batch_size: int = 1, precision: Precision = "fp32") -> dict[str, int]:
    """What the letters stand for."""
    return {
        "S": shape.context_length,
        "D": shape.d_model,
        "F": shape.d_ff,
        "V": shape.vocab_size,
        "L": shape.num_layers,
        "H": shape.num_heads,
        "B": batch_size,
        "E": WIDTH[precision],
        "P": count_parameters(shape).total,
        "M": hidden_parameters(shape),
        "R": hidden_rows(shape),
    }


def parameter_formulas(shape: ModelShape) -> dict[str, str]:
    """Parameters by component; those of a block, of one block."""
    norm = "D" if shape.norm == "rmsnorm" else "0"
    return {
        "token_embedding": "V * D",
        "embedding_norm": "D" if shape.embedding_norm else "0",
        "skip_weights": "(L - 1) // 2" if shape.skip_connections else "0",
        "value_embeddings": f"{shape.value_embeddings} * (V * D + 1)",
        "norms": f"2 * {norm}",
        "qk_norms": "2 * (D // H)" if shape.qk_norm else "0",
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


def optimizer_formula(optimizer: Optimizer) -> str:
    """Bytes of optimizer state; M are the parameters in the blocks' matrices, R their rows."""
    muon = "4 * M + 8 * (P - M)"
    return {"adamw": "8 * P", "sgd": "0", "muon": muon, "normuon": f"{muon} + 4 * R"}[optimizer]


WRITEUP_ACTIVATIONS = "4 * S * (L * (16 * D + H * S) + 2 * D + 2 * V)"
"""Bytes a sample, the write-up's."""


def kept_formulas(
    shape: ModelShape, batch_size: int, precision: Precision, device: DeviceType = "cpu"
) -> dict[str, str]:
    """Bytes kept for the backward pass, those of attention and feed-forward for one block; E bytes an element."""
    rms_norm = "4 * B * S * (2 * D + 1)"
    norm = rms_norm if shape.norm == "rmsnorm" else "0"
    copies = {"attention": "", "feed_forward": "", "head": ""}
    if precision == "bf16":
        matrices = FEED_FORWARD_MATRICES[shape.feed_forward]
        copies = {"attention": " + E * 4 * D**2", "feed_forward": f" + E * {matrices} * D * F", "head": " + E * D * V"}
    inner = FEED_FORWARD_KEPT[shape.feed_forward]
    attention, mixed = (
        attention_formula(shape, batch_size, precision, device, extra_value=extra) for extra in (False, True)
    )
    return {
        "token_ids": "16 * B * S",
        "embedding_norm": rms_norm if shape.embedding_norm else "0",
        "value_embedding": "4 * B * S * D" if shape.value_embeddings else "0",
        "skip_connections": "(L - 1) // 2 * 4 * B * S * D" if skips_keep(shape, WIDTH[precision]) else "0",
        "attention": f"{norm} + {attention}{copies['attention']}",
        "attention_with_value_embedding": f"{norm} + {mixed}{copies['attention']}" if shape.value_embeddings else "0",
        "feed_forward": f"{norm} + E * B * S * (D + {inner} * F){copies['feed_forward']}",
        "head": f"{norm} + E * B * S * D{copies['head']}",
        "loss": f"{logit_tensors(shape)} * 4 * B * S * V",
    }


def attention_formula(
    shape: ModelShape, batch_size: int, precision: Precision, device: DeviceType, *, extra_value: bool
) -> str:
    """What attention keeps beside its norm and weights."""
    rows = 1 + attention_rows(shape, batch_size, WIDTH[precision], device, extra_value=extra_value)
    rest = " + 16 * S * (D // H // 2)" if shape.position == "rope" else ""
    if shape.qk_norm:
        rest += f" + 4 * B * S * ({2 if precision == 'fp32' else 4} * D + 2 * H)"
    match attention_kernel(shape, WIDTH[precision], device):
        case "fused":
            return f"E * B * S * {rows} * D + 4 * B * S * H{rest}"
        case "unfused":
            return f"E * B * S * ({rows} * D + H * S){rest}"
        case "manual":
            exponentials = "4" if device == "cuda" else "E"
            return f"E * B * S * ({rows} * D + 2 * H * S + H) + {exponentials} * B * S * H * (S + 1) + S**2{rest}"
