"""The formulas shown are the formulas computed."""

from collections.abc import Callable
from dataclasses import asdict

import pytest

from tinylm.accounting.flops import forward_flops
from tinylm.accounting.formulas import forward_formulas, parameter_formulas, symbols
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
