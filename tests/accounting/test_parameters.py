"""Parameter counts against the write-up and against built models."""

from collections.abc import Callable

import pytest

from tinylm.accounting.parameters import BlockParameters, Parameters, count_parameters
from tinylm.accounting.shape import ModelShape
from tinylm.configs.model import ModelConfig
from tinylm.configs.presets import MODEL_PRESETS
from tinylm.model import build_model

GPT2_XL = ModelShape(**MODEL_PRESETS["gpt2-xl"])


def test_the_write_up_s_table_of_gpt2_xl() -> None:
    """Every figure of "Counting parameters"."""
    assert count_parameters(GPT2_XL) == Parameters(
        token_embedding=80_411_200,
        embedding_norm=0,
        per_block=BlockParameters(
            norms=3_200,
            qk_norms=0,
            attention_qkv=7_680_000,
            attention_output=2_560_000,
            feed_forward=30_720_000,
            total=40_963_200,
        ),
        blocks=1_966_233_600,
        skip_weights=0,
        value_embeddings=0,
        final_norm=1_600,
        lm_head=80_411_200,
        total=2_127_057_600,
        non_embedding=2_046_646_400,
        matmul=2_046_491_200,
    )


CASES = [*MODEL_PRESETS, *range(50)]


@pytest.mark.parametrize("case", CASES)
def test_counts_equal_those_of_the_built_model(case: str | int, config_of: Callable[..., ModelConfig]) -> None:
    """Component by component, for all presets and 50 random models of every variant."""
    config = config_of(case)
    model = build_model(config, device="meta")
    counts = count_parameters(ModelShape.of(config))
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}

    def size(prefix: str) -> int:
        return sum(count for name, count in sizes.items() if name.startswith(prefix))

    block = counts.per_block
    assert block.attention_qkv == size("blocks.0.attention.qkv")
    assert block.attention_output == size("blocks.0.attention.output")
    assert block.qk_norms == size("blocks.0.attention.query_norm") + size("blocks.0.attention.key_norm")
    assert block.feed_forward == size("blocks.0.feed_forward.")
    assert block.norms == size("blocks.0.attention_norm") + size("blocks.0.feed_forward_norm")
    assert (counts.token_embedding, counts.lm_head) == (size("token_embedding"), size("lm_head"))
    assert counts.embedding_norm == size("embedding_norm")
    assert counts.skip_weights == size("blocks.skip_weights")
    assert (counts.blocks + counts.skip_weights, counts.final_norm) == (size("blocks."), size("final_norm"))
    assert counts.value_embeddings == size("value_embeddings")
    assert counts.non_embedding == counts.total - size("token_embedding") - size("value_embeddings")
    assert counts.total == size("")
    looked_up = size("value_embeddings") + (0 if config.tie_embeddings else counts.token_embedding)
    vectors = sum(sizes[name] for name, p in model.named_parameters() if p.ndim < 2 and "value_emb" not in name)
    assert counts.matmul == counts.total - looked_up - vectors
