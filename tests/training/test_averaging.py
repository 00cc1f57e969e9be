"""The average of the weights is the sum that it is defined as."""

import pytest
import torch

from tinylm.training.averaging import WeightAverage


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.999])
def test_average_is_the_weighted_mean_of_all_steps(decay: float) -> None:
    """After 40 random steps it is sum decay^(t-i) w_i / sum decay^(t-i), summed in float64; the start plays no part."""
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    average = WeightAverage(model, decay)
    history = []
    for step in range(1, 41):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        average.update(model, step)
        history.append(model.weight.detach().double().clone())
        shares = torch.tensor([decay ** (step - i) for i in range(1, step + 1)], dtype=torch.float64)
        expected = (torch.stack(history) * shares[:, None, None]).sum(0) / shares.sum()
        torch.testing.assert_close(average.model.weight.double(), expected, atol=1e-5, rtol=0)


def test_first_average_is_the_first_step() -> None:
    """One step's average is that step's weights, bit for bit."""
    model = torch.nn.Linear(3, 2)
    average = WeightAverage(model, 0.99)
    with torch.no_grad():
        model.weight.mul_(3)
    average.update(model, 1)
    assert torch.equal(average.model.weight, model.weight)


def test_average_is_a_copy_that_needs_no_gradient() -> None:
    """The averaged model shares no memory with the other, and is not trained."""
    model = torch.nn.Linear(3, 2)
    average = WeightAverage(model, 0.99)
    with torch.no_grad():
        model.weight.zero_()
    assert average.model.weight.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in average.model.parameters())
