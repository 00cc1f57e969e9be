"""FLOPs against the write-up and against PyTorch's counter."""

from collections.abc import Callable

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tinylm.accounting.flops import forward_flops, training_flops, training_flops_per_token
from tinylm.accounting.parameters import count_parameters
from tinylm.accounting.shape import ModelShape
from tinylm.configs.model import ModelConfig
from tinylm.configs.presets import MODEL_PRESETS
from tinylm.model import build_model

LARGE = {"gpt2-medium", "gpt2-large", "gpt2-xl"}
PRESETS = [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in MODEL_PRESETS]
CASES = [*PRESETS, *range(50)]


@pytest.mark.parametrize("case", CASES)
def test_flops_equal_a_counted_forward_and_backward_pass(
    case: str | int, config_of: Callable[..., ModelConfig]
) -> None:
    """As integers, on the meta device, for all presets and 50 random models of every variant."""
    config = config_of(case, attention="manual")
    model, batch_size = build_model(config, device="meta"), 3
    token_ids = torch.zeros(batch_size, config.context_length, dtype=torch.long, device="meta")
    counter = FlopCounterMode(display=False)
    with counter:
        logits = model(token_ids)
    counted_forward = counter.get_total_flops()
    with counter:
        logits.sum().backward()
    counted_backward = counter.get_total_flops()
    shape = ModelShape.of(config)
    assert forward_flops(shape, batch_size).total == counted_forward
    assert training_flops(shape, batch_size) == counted_forward + counted_backward


def test_each_component_equals_what_the_counter_attributes_to_its_modules(
    config_of: Callable[..., ModelConfig],
) -> None:
    """Projections, scores and values, feed-forward and head apart, not only their sum."""
    config = config_of(0, attention="manual", tie_embeddings=False, num_layers=3)
    model = build_model(config, device="meta")
    counter = FlopCounterMode(display=False, depth=4)
    with counter:
        model(torch.zeros(1, config.context_length, dtype=torch.long, device="meta"))
    counts = counter.get_flop_counts()

    def flops(*names: str) -> int:
        modules = [f"TransformerLM.blocks.{layer}.{name}" for layer in range(3) for name in names]
        return sum(sum(counts[module].values()) for module in modules)

    forward = forward_flops(ModelShape.of(config))
    assert forward.attention_projections == flops("attention.qkv", "attention.output")
    assert forward.attention_scores + forward.attention_values == flops("attention") - forward.attention_projections
    assert forward.attention_scores == forward.attention_values
    assert forward.feed_forward == flops("feed_forward")
    assert forward.lm_head == sum(counts["TransformerLM.lm_head"].values())


def test_sdpa_on_a_cpu_is_not_counted_by_pytorch_so_ours_is_larger_by_the_attention(
    config_of: Callable[..., ModelConfig],
) -> None:
    """PyTorch 2.13 has no formula for the CPU's fused kernel: its counter leaves out the S x S products."""
    config = config_of(1, attention="sdpa")
    model = build_model(config)
    counter = FlopCounterMode(display=False)
    with counter:
        model(torch.zeros(1, config.context_length, dtype=torch.long))
    forward = forward_flops(ModelShape.of(config))
    assert counter.get_total_flops() == forward.total - forward.attention_scores - forward.attention_values


def test_per_token_is_six_flops_a_weight_and_twelve_a_layer_position_and_width(
    config_of: Callable[..., ModelConfig],
) -> None:
    """The identity behind MFU, with the weights that really multiply."""
    shape = ModelShape.of(config_of(2))
    weights = 6 * count_parameters(shape).matmul
    assert training_flops_per_token(shape) == weights + 12 * shape.num_layers * shape.context_length * shape.d_model


@pytest.mark.parametrize("length", [1, 2, 7, 64])
def test_the_causal_convention_counts_the_scores_that_a_causal_mask_keeps(
    length: int, config_of: Callable[..., ModelConfig]
) -> None:
    """2 FLOPs for each dimension of each pair under the mask, and nothing else changes."""
    shape = ModelShape.of(config_of(3, context_length=length))
    kept = int(torch.ones(length, length).tril().sum())
    dense, causal = forward_flops(shape), forward_flops(shape, attention="causal")
    assert causal.attention_scores == shape.num_layers * 2 * shape.d_model * kept
    assert dense.total - causal.total == 2 * (dense.attention_scores - causal.attention_scores)
    assert training_flops_per_token(shape, "causal") * length == training_flops(shape, 1, "causal")


def test_flops_are_proportional_to_the_batch(config_of: Callable[..., ModelConfig]) -> None:
    """Sequences do not see each other."""
    shape = ModelShape.of(config_of(4))
    assert training_flops(shape, 7) == 7 * training_flops(shape)
