"""Which model, and which training run of it, a cost command is asked about."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from tinylm.accounting.optimizers import Optimizer
from tinylm.accounting.shape import ModelShape
from tinylm.configs.presets import MODEL_PRESETS
from tinylm.errors import UsageError

LARGEST_SIZE = 2**31 - 1
NO_DATA = {"train": "", "valid": "", "tokenizer": ""}
"""Stands in for the one table that has no defaults: costs do not depend on the text."""


@dataclass(frozen=True)
class Planned:
    """A model and what is known of its run; a preset is a model only."""

    name: str
    shape: ModelShape
    batch_size: int = 1
    grad_accumulation: int = 1
    steps: int | None = None
    optimizer: Optimizer = "adamw"
    precision: Literal["auto", "fp32", "bf16"] = "auto"


def planned_runs(
    presets: Sequence[str] | None,
    config: str | None,
    overrides: Sequence[str] | None,
    context_lengths: Sequence[str] | None,
) -> list[Planned]:
    """One plan for each preset (or the config) and each context length, in the order given.

    Raises: UsageError or ConfigError that says what is wrong with the request.
    """
    if bool(presets) == bool(config):
        raise UsageError("give either --preset NAME or --config FILE")
    plans = (
        [from_config(config, overrides or ())] if config else [from_preset(n, overrides or ()) for n in presets or ()]
    )
    lengths = [context_length(text) for text in context_lengths or ()]
    if not lengths:
        return plans
    return [replace(plan, shape=replace(plan.shape, context_length=length)) for plan in plans for length in lengths]


def context_length(text: str) -> int:
    """A number of tokens. Raises: UsageError that names the value when it is none."""
    if not text.isdecimal() or len(text) > len(str(LARGEST_SIZE)) or not 0 < int(text) <= LARGEST_SIZE:
        raise UsageError(f"--context-length {text}: expected a whole number of tokens from 1 to {LARGEST_SIZE:,}")
    return int(text)


def from_preset(name: str, overrides: Sequence[str]) -> Planned:
    """A preset as it is needs no validation, hence no pydantic, which would double the command's start."""
    if name in MODEL_PRESETS and not overrides:
        return Planned(name, ModelShape(**MODEL_PRESETS[name]))
    from tinylm.configs.loader import preset_values

    return validated(name, {"model": preset_values(name)}, overrides, source=f"preset {name}")


def from_config(path: str, overrides: Sequence[str]) -> Planned:
    """The run of a configuration file or of a shipped one by name."""
    from tinylm.configs.loader import find_config, read_toml

    file = find_config(path)
    return validated(file.stem, read_toml(file), overrides, source=str(file))


def validated(name: str, values: dict[str, Any], overrides: Sequence[str], *, source: str) -> Planned:
    """Apply overrides, whose keys belong to the model when they name no table, and check everything at once."""
    from tinylm.configs.loader import apply_overrides, parse
    from tinylm.configs.run import RunConfig

    overrides = [text if names_a_table(text) else f"model.{text}" for text in overrides]
    applied = apply_overrides({"data": NO_DATA} | values, overrides)
    config = parse(RunConfig, applied, source=source)
    plan = Planned(name, ModelShape.of(config.model), optimizer=config.optim.kind)
    if "train" not in applied:
        return plan
    train = config.train
    return replace(
        plan,
        batch_size=train.batch_size,
        grad_accumulation=train.grad_accumulation,
        steps=train.steps,
        precision=train.precision,
    )


def names_a_table(override: str) -> bool:
    """`train.steps=10` does, `d_model=64` does not."""
    return "." in override.partition("=")[0]
