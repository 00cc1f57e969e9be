"""Figures come back as they were sent."""

import pytest
import torch

from tinylm.training.launched import Launched

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.mark.parametrize("device", DEVICES)
def test_figures_arrive(device: str) -> None:
    """After the wait they are those of the step, though the device has other work before and after."""
    figures = torch.tensor([1.5, 2.5], device=device)
    busy = torch.ones(500, 500, device=device)
    for _ in range(20):
        busy = (busy @ busy).clamp(max=1.0)
    launched = Launched.now(7, 1e-3, 0.5, 0.25, figures * busy[0, 0])
    figures.zero_()
    assert launched.wait() == [1.5, 2.5]
    assert (launched.step, launched.lr, launched.fraction, launched.data_seconds) == (7, 1e-3, 0.5, 0.25)
