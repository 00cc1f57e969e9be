"""The formulas shown are the formulas computed."""

from collections.abc import Callable
from dataclasses import asdict

import pytest

from tinylm.accounting.activations import kept_activations
from tinylm.accounting.flops import forward_flops
from tinylm.accounting.formulas import (
    WRITEUP_ACTIVATIONS,
    forward_formulas,
    kept_formulas,
    optimizer_formula,
    parameter_formulas,
    symbols,
)
from tinylm.accounting.memory import writeup_memory
from tinylm.accounting.moments import Training
from tinylm.accounting.optimizers import optimizer_state_bytes
from tinylm.accounting.parameters import count_parameters
from tinylm.accounting.shape import ModelShape
from tinylm.configs.model import ModelConfig


@pytest.mark.parametrize("seed", range(20))
def test_every_formula_evaluates_to_its_count(seed: int, config_of: Callable[..., ModelConfig]) -> None:
    """`--explain` can not drift from the numbers beside it."""
    shape, batch_size = ModelShape.of(config_of(seed)), seed + 1
    values = symbols(shape, batch_size)
    parameters = count_parameters(shape)
    counts = asdict(parameters) | asdict(parameters.per_block)
    for name, formula in parameter_formulas(shape).items():
        assert eval(formula, values.copy()) == counts[name], name
    flops = asdict(forward_flops(shape, batch_size))
    assert {name: eval(formula, values.copy()) for name, formula in forward_formulas(shape).items()} == flops


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("seed", range(20))
def test_every_memory_formula_evaluates_to_its_bytes(
    seed: int, precision: str, config_of: Callable[..., ModelConfig]
) -> None:
    """What is kept, for one sequence and for several; optimizer state; the write-up's activations."""
    shape = ModelShape.of(config_of(seed))
    for batch_size in (1, 3):
        values = symbols(shape, batch_size, precision)
        for device in ("cpu", "cuda"):
            kept = asdict(kept_activations(shape, batch_size, precision, device))
            formulas = kept_formulas(shape, batch_size, precision, device)
            assert {name: eval(formula, values.copy()) for name, formula in formulas.items()} == kept
    for optimizer in ("adamw", "muon", "normuon", "sgd"):
        assert eval(optimizer_formula(optimizer), values.copy()) == optimizer_state_bytes(shape, optimizer)
    assert eval(WRITEUP_ACTIVATIONS, values) == writeup_memory(shape, 1, Training()).activation_bytes_per_sample
