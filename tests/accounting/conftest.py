"""Models to count: the presets, and random ones of every variant, small enough to build by the dozen."""

import random
from collections.abc import Callable
from typing import get_args

import pytest

from tinylm.configs.model import ModelConfig
from tinylm.configs.presets import MODEL_PRESETS

VARIANTS = ("position", "norm", "norm_placement", "feed_forward", "attention")
OPTIONS = {"qk_norm": (False, True), "logit_softcap": (0.0, 30.0), "embedding_norm": (False, True)}


@pytest.fixture
def config_of() -> Callable[..., ModelConfig]:
    """config_of(case, **fixed): the preset of that name, or the random model of that seed."""
    return preset_or_random


def preset_or_random(case: str | int, **fixed: object) -> ModelConfig:
    """Random models have every variant, each equally likely."""
    if isinstance(case, str):
        return ModelConfig.model_validate(MODEL_PRESETS[case] | fixed)
    draw = random.Random(case)
    num_heads = draw.randint(1, 4)
    values = {
        "vocab_size": draw.randint(11, 500),
        "context_length": draw.randint(1, 70),
        "num_heads": num_heads,
        "d_model": num_heads * 2 * draw.randint(1, 12),
        "num_layers": draw.randint(1, 5),
        "d_ff": draw.randint(1, 200),
        "tie_embeddings": draw.random() < 0.5,
    }
    values |= {name: draw.choice(get_args(ModelConfig.model_fields[name].annotation)) for name in VARIANTS}
    values["value_embeddings"] = draw.randint(0, values["num_layers"])
    values["skip_connections"] = values["num_layers"] > 2 and draw.random() < 0.5
    values |= {name: draw.choice(choices) for name, choices in OPTIONS.items()}
    return ModelConfig.model_validate(values | fixed)
