"""The write-up's toy problem, and the rule it follows."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from tinylm.optim import SGD

WRITE_UP = {
    10.0: {0: 24.17, 1: 15.47, 2: 11.40, 3: 8.92, 4: 7.23, 9: 3.25},
    100.0: {0: 24.17, 1: 24.17, 2: 4.15, 3: 0.10, 4: 0.00, 9: 0.00},
    1000.0: {0: 24.17, 1: 8_725.10, 2: 1_506_962.38, 3: 167_633_472, 4: 13.6e9, 9: 2.24e18},
}


@pytest.mark.parametrize("lr", WRITE_UP)
def test_the_write_ups_table(lr: float) -> None:
    """Minimising mean(weights^2) from the write-up's first loss gives its table, to the digits it prints."""
    weights = nn.Parameter(torch.randn(10, 10, dtype=torch.float64))
    weights.data *= (24.1685 / weights.data.square().mean()).sqrt()
    optimizer = SGD([weights], lr=lr)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss = weights.square().mean()
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    for step, printed in WRITE_UP[lr].items():
        assert losses[step] == pytest.approx(printed, rel=2e-3, abs=6e-3)


def test_the_rate_decays_with_the_root_of_the_step() -> None:
    """With a constant gradient of one, the updates are lr / sqrt(1), lr / sqrt(2), lr / sqrt(3)."""
    parameter, positions = nn.Parameter(torch.zeros(1)), [0.0]
    optimizer = SGD([parameter], lr=6.0)
    for _ in range(3):
        parameter.grad = torch.ones(1)
        optimizer.step()
        positions.append(parameter.item())
    steps = [before - after for before, after in pairwise(positions)]
    assert steps == pytest.approx([6.0, 6.0 / 2**0.5, 6.0 / 3**0.5])


def test_parameters_without_gradient_stay() -> None:
    """A parameter that took no part in the loss is not moved and counts no step."""
    parameter = nn.Parameter(torch.ones(2))
    optimizer = SGD([parameter])
    optimizer.step()
    assert not optimizer.state[parameter]
