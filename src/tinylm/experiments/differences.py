"""What differs between the configurations of several runs."""

from collections.abc import Mapping
from typing import Any

from tinylm.configs.loader import flatten

WITHOUT_EFFECT = {
    "train.eval_every", "train.eval_batches", "train.save_every", "train.keep_checkpoints", "train.sample_every",
    "train.sample_prompt", "train.log_every", "train.device", "train.compile",
}  # fmt: skip
"""Keys that change what is written down or how fast it goes, but not the model."""
WITHOUT_EFFECT_TABLES = ("tracking.",)


def differences(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """For each name, its settings under the keys that are not the same in all; None where a key is not set."""
    flat = {name: flatten(config) for name, config in configs.items()}
    keys = dict.fromkeys(key for config in flat.values() for key in config if has_effect(key))
    varying = [key for key in keys if len({repr(config.get(key)) for config in flat.values()}) > 1]
    return {name: {key: config.get(key) for key in varying} for name, config in flat.items()}


def has_effect(key: str) -> bool:
    """Whether a setting changes what a run comes to."""
    return key not in WITHOUT_EFFECT and not key.startswith(WITHOUT_EFFECT_TABLES)
