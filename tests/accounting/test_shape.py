"""What accounting needs to know of a model."""

from dataclasses import fields

from tinylm.accounting.shape import ModelShape
from tinylm.configs.model import ModelConfig
from tinylm.configs.presets import MODEL_PRESETS

COSTS_NOTHING = {"rope_theta", "zero_init_outputs"}


def test_the_shape_has_every_field_of_the_configuration_that_costs_something() -> None:
    """A field added to ModelConfig must be accounted for, or named here as free."""
    assert {field.name for field in fields(ModelShape)} == set(ModelConfig.model_fields) - COSTS_NOTHING


def test_a_preset_without_pydantic_is_the_preset_with_it() -> None:
    """Defaults agree, and every preset is valid."""
    for name, values in MODEL_PRESETS.items():
        assert ModelShape(**values) == ModelShape.of(ModelConfig(**values)), name
