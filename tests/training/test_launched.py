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


class OnAppleGPU:
    """Figures on a device that copies without waiting when asked to, and has no CUDA event to wait for."""

    is_cuda = False

    def to(self, _device: str, *, non_blocking: bool) -> torch.Tensor:
        return torch.zeros(2) if non_blocking else torch.tensor([1.5, 2.5])


def test_a_copy_that_cannot_be_waited_for_is_made_at_once() -> None:
    """Without an event the figures are there when the copy returns."""
    assert Launched.now(1, 1e-3, 0.5, 0.0, OnAppleGPU()).wait() == [1.5, 2.5]  # type: ignore[arg-type]
