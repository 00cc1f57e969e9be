"""The operations beside the matrix products."""

from typing import Any

import pytest

from tinylm.accounting.elementwise import elementwise_forward_flops
from tinylm.accounting.flops import forward_flops
from tinylm.accounting.shape import ModelShape
from tinylm.configs.presets import MODEL_PRESETS


def test_a_model_small_enough_to_count_by_hand() -> None:
    """One layer, one head, width 2, inner width 3, vocabulary 5, two positions."""
    shape = ModelShape(5, 2, 2, 1, 1, 3)
    norms, rope, scores, silu_and_gate, residuals = 3 * 4 * 2, 2 * 3 * 2, 6 * 2, 5 * 3, 2 * 2
    assert elementwise_forward_flops(shape, 7) == 7 * 2 * (norms + rope + scores + silu_and_gate + residuals + 4 * 5)


@pytest.mark.parametrize(
    ("field", "value"), [("norm", "none"), ("position", "none"), ("feed_forward", "silu"), ("feed_forward", "relu2")]
)
def test_leaving_a_part_out_saves_its_operations(field: str, value: str) -> None:
    """Each variant has fewer than the whole."""
    values = MODEL_PRESETS["tinystories"]
    assert elementwise_forward_flops(ModelShape(**values | {field: value})) < elementwise_forward_flops(
        ModelShape(**values)
    )


@pytest.mark.parametrize(
    ("option", "operations"),
    [
        ({"qk_norm": True}, 4 * 4 * 2 * 2),
        ({"logit_softcap": 30.0}, 3 * 5),
        ({"embedding_norm": True}, 4 * 2),
        ({"value_embeddings": 3}, 3 * 2 * 2),
        ({"skip_connections": True}, 2 * 2),
    ],
    ids=str,
)
def test_what_an_option_adds_by_hand(option: dict[str, Any], operations: int) -> None:
    """To each of the 14 tokens of a model with four layers, one head, width 2, inner width 3 and vocabulary 5."""
    plain, with_option = ModelShape(5, 2, 2, 4, 1, 3), ModelShape(5, 2, 2, 4, 1, 3, **option)
    added = elementwise_forward_flops(with_option, 7) - elementwise_forward_flops(plain, 7)
    assert added == 14 * operations


def test_they_are_a_small_share_for_every_preset() -> None:
    """Below three percent, so leaving them out of MFU does little."""
    for values in MODEL_PRESETS.values():
        shape = ModelShape(**values)
        assert elementwise_forward_flops(shape) < 0.03 * forward_flops(shape).total
