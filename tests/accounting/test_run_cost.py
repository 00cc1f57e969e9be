"""Time and money."""

import pytest

from tinylm.accounting.flops import training_flops
from tinylm.accounting.parameters import count_parameters
from tinylm.accounting.run_cost import Machine, chinchilla_steps, run_cost, steps_within
from tinylm.accounting.shape import ModelShape
from tinylm.configs.presets import MODEL_PRESETS

TWO_MATRICES = ModelShape(**MODEL_PRESETS["gpt2-xl"], feed_forward="silu")
A100 = Machine("a100", "fp32", 19.5e12, 0.5, "", dollars_per_hour=2.0)


def test_the_write_up_s_14_years() -> None:
    """400K steps of 1,024 sequences at 9.75 TFLOP/s, 1,105 seconds each."""
    cost = run_cost(TWO_MATRICES, 1024, 400_000, A100)
    assert A100.flops_per_second == 9.75e12
    assert f"{cost.seconds / 400_000:.0f}" == "1105"
    assert f"{cost.seconds / (365.25 * 86400):.0f}" == "14"
    assert cost.dollars == 2 * cost.device_hours == pytest.approx(2 * cost.seconds / 3600)


def test_without_a_machine_there_is_no_time_and_without_a_price_no_money() -> None:
    """Unknown is None, not zero."""
    assert run_cost(TWO_MATRICES, 1, 10).seconds is None
    assert run_cost(TWO_MATRICES, 1, 10, Machine("", "fp32", 1e12, 0.5, "")).dollars is None


def test_steps_within_a_budget_fit_and_one_more_does_not() -> None:
    """Whole steps."""
    steps = steps_within(TWO_MATRICES, 8, 1.5, A100)
    seconds = training_flops(TWO_MATRICES, 8) / A100.flops_per_second
    assert steps * seconds <= 1.5 * 3600 < (steps + 1) * seconds


def test_the_chinchilla_point_is_twenty_tokens_a_parameter() -> None:
    """Reached by these steps and by no fewer."""
    steps, tokens_per_step = chinchilla_steps(TWO_MATRICES, 3), 3 * TWO_MATRICES.context_length
    assert (steps - 1) * tokens_per_step < 20 * count_parameters(TWO_MATRICES).total <= steps * tokens_per_step
