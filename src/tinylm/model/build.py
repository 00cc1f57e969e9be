"""From a ModelConfig to a model: each named variant becomes the class or function it stands for."""

from collections.abc import Callable

import torch
from torch import nn

from tinylm.configs.model import ModelConfig
from tinylm.model.attention import manual_attention, sdpa_attention
from tinylm.model.feed_forward import ReLUSquaredFeedForward, SiLUFeedForward, SwiGLU
from tinylm.model.functional import cross_entropy, fused_cross_entropy
from tinylm.model.layers import RMSNorm
from tinylm.model.skip_connections import SkipConnectedBlocks
from tinylm.model.transformer import Blocks, PostNormTransformerBlock, TransformerBlock, TransformerLM

NORMS = {"rmsnorm": RMSNorm, "none": nn.Identity}
BLOCKS = {"pre": TransformerBlock, "post": PostNormTransformerBlock}
FEED_FORWARDS = {"swiglu": SwiGLU, "silu": SiLUFeedForward, "relu2": ReLUSquaredFeedForward}
ATTENTIONS = {"sdpa": sdpa_attention, "manual": manual_attention}
LOSSES = {"sdpa": fused_cross_entropy, "manual": cross_entropy}


def build_model(
    config: ModelConfig, *, seed: int | None = None, device: torch.device | str | None = None
) -> TransformerLM:
    """The model, with weights that depend on `seed` only: they are drawn on the CPU whatever the device.

    Without a seed they come from PyTorch's global generator. On the meta device nothing is allocated.
    """
    device = torch.device(device or "cpu")
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        with torch.device("meta" if device.type == "meta" else "cpu"):
            return _transformer(config).to(device)


def _transformer(config: ModelConfig) -> TransformerLM:
    return TransformerLM(
        vocab_size=config.vocab_size,
        context_length=config.context_length,
        d_model=config.d_model,
        num_layers=config.num_layers,
        num_heads=config.num_heads,
        d_ff=config.d_ff,
        rope_theta=config.rope_theta if config.position == "rope" else None,
        block=BLOCKS[config.norm_placement],
        stack=SkipConnectedBlocks if config.skip_connections else Blocks,
        norm=NORMS[config.norm],
        embedding_norm=RMSNorm if config.embedding_norm else nn.Identity,
        qk_norm=RMSNorm if config.qk_norm else nn.Identity,
        feed_forward=FEED_FORWARDS[config.feed_forward],
        attention=ATTENTIONS[config.attention],
        tie_embeddings=config.tie_embeddings,
        value_embeddings=config.value_embeddings,
        zero_init_outputs=config.zero_init_outputs,
        logit_softcap=config.logit_softcap or None,
    )


def build_loss(config: ModelConfig) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """The loss in the style of the attention: PyTorch's kernel beside its fused attention, ours beside ours."""
    return LOSSES[config.attention]
