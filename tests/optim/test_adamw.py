"""AdamW against torch.optim.AdamW, and the fused kernel against the loop."""

import copy

import pytest
import torch
from torch import Tensor, nn

from tinylm.optim import AdamW

STEPS = 200


def train(model: nn.Module, optimizer: torch.optim.Optimizer, *, steps: int = STEPS) -> list[Tensor]:
    """Fit a fixed noisy target, under a rate that changes, so that every term of the update counts."""
    generator = torch.Generator().manual_seed(1)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * (1 - step / (2 * STEPS))
        x = torch.randn(16, 8, generator=generator)
        loss = (model(x) - x.sum(-1, keepdim=True).sin()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return [parameter.detach() for parameter in model.parameters()]


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_equals_torch(fused: bool, weight_decay: float) -> None:
    """200 steps end where torch.optim.AdamW's end, within float rounding, by the loop and by the kernel."""
    settings = {"lr": 1e-2, "betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": weight_decay}
    ours, torchs = (copy.deepcopy(network()) for _ in range(2))
    torchs.load_state_dict(ours.state_dict())
    mine = train(ours, AdamW(ours.parameters(), **settings, fused=fused))
    theirs = train(torchs, torch.optim.AdamW(torchs.parameters(), **settings, foreach=False, fused=False))
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_first_step_is_the_rate_in_the_direction_of_the_sign() -> None:
    """With bias correction the first update is lr * sign(gradient), however large the gradient."""
    for fused in (False, True):
        parameter = nn.Parameter(torch.zeros(3))
        parameter.grad = torch.tensor([1e-3, -5.0, 1e4])
        AdamW([parameter], lr=0.1, weight_decay=0.0, fused=fused).step()
        torch.testing.assert_close(parameter.data, torch.tensor([-0.1, 0.1, -0.1]), rtol=1e-4, atol=0)


def test_decay_is_decoupled() -> None:
    """With a zero gradient a parameter shrinks by lr * weight_decay of itself, untouched by the second moment."""
    parameter = nn.Parameter(torch.full((3,), 2.0))
    parameter.grad = torch.zeros(3)
    AdamW([parameter], lr=0.1, weight_decay=0.5).step()
    torch.testing.assert_close(parameter.data, torch.full((3,), 2.0 * (1 - 0.05)))


def test_parameters_without_gradient_stay() -> None:
    """A parameter that took no part in the loss is neither moved nor decayed, and has no state."""
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    used.grad = torch.ones(2)
    optimizer = AdamW([used, unused], weight_decay=0.5)
    optimizer.step()
    assert (unused == 1).all()
    assert set(optimizer.state) == {used}


@pytest.mark.parametrize("fused", [False, True])
def test_resuming_is_exact(fused: bool) -> None:
    """State carried over through a state dict continues to the same bits; it is three tensors a parameter."""
    straight, resumed = network(), network()
    resumed.load_state_dict(straight.state_dict())
    optimizer = AdamW(straight.parameters(), fused=fused)
    expected = (train(straight, optimizer, steps=10), train(straight, optimizer, steps=10))[1]
    first = AdamW(resumed.parameters(), fused=fused)
    train(resumed, first, steps=10)
    second = AdamW(resumed.parameters(), fused=fused)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert all(map(torch.equal, train(resumed, second, steps=10), expected))
    assert {name for state in second.state.values() for name in state} == {"step", "exp_avg", "exp_avg_sq"}


def test_closure() -> None:
    """A closure is called with gradients enabled and its loss returned, as PyTorch's optimizers do."""
    parameter = nn.Parameter(torch.tensor([3.0]))
    optimizer = AdamW([parameter])

    def closure() -> float:
        loss = parameter.square().sum()
        loss.backward()
        return loss.item()

    assert optimizer.step(closure) == 9.0
    assert parameter.item() < 3.0
