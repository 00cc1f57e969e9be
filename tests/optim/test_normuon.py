"""NorMuon against its formula in plain arithmetic, and against Muon."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from tinylm.optim import AdamW, Muon, NorMuon
from tinylm.optim.muon import orthogonalise

Matrix = list[list[float]]


def drawn(shape: tuple[int, int], count: int) -> list[Tensor]:
    """Matrices whose rows are of very different sizes."""
    generator = torch.Generator().manual_seed(1)
    sizes = torch.logspace(-2, 1, shape[0]).unsqueeze(1)
    return [sizes * torch.randn(shape, generator=generator) for _ in range(count)]


def moved(optimizer: torch.optim.Optimizer, parameter: nn.Parameter, gradients: list[Tensor]) -> Tensor:
    """The parameter after a step for each gradient."""
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
    return parameter.detach()


def by_hand(weight: Matrix, gradients: list[Matrix], lr: float, momentum: float, decay: float, beta: float) -> Matrix:
    """The algorithm, number by number; Newton-Schulz is Muon's, which test_muon.py holds to the SVD."""
    rows, columns = len(weight), len(weight[0])
    average = [[0.0] * columns for _ in range(rows)]
    v = [0.0] * rows
    for gradient in gradients:
        for i in range(rows):
            for j in range(columns):
                average[i][j] = momentum * average[i][j] + (1 - momentum) * gradient[i][j]
        nesterov = [
            [momentum * average[i][j] + (1 - momentum) * gradient[i][j] for j in range(columns)] for i in range(rows)
        ]
        update = orthogonalise(torch.tensor(nesterov)).tolist()
        for i in range(rows):
            v[i] = beta * v[i] + (1 - beta) * sum(x * x for x in update[i]) / columns
            update[i] = [x / (math.sqrt(v[i]) + 1e-8) for x in update[i]]
        norm = math.sqrt(sum(x * x for row in update for x in row))
        step = 0.2 * lr * math.sqrt(rows * columns) / norm
        weight = [
            [w - lr * decay * w - step * x for w, x in zip(*pair, strict=True)]
            for pair in zip(weight, update, strict=True)
        ]
    return weight


@pytest.mark.parametrize("shape", [(6, 6), (5, 9), (9, 5)])
def test_equals_plain_arithmetic(shape: tuple[int, int]) -> None:
    """Forty steps end where the formula's end, for square, wide and tall matrices."""
    start, gradients = drawn(shape, 1)[0], drawn(shape, 40)
    parameter = nn.Parameter(start.clone())
    optimizer = NorMuon([parameter], lr=0.02, momentum=0.9, weight_decay=0.5, row_beta=0.8)
    expected = by_hand(start.tolist(), [gradient.tolist() for gradient in gradients], 0.02, 0.9, 0.5, 0.8)
    torch.testing.assert_close(moved(optimizer, parameter, gradients), torch.tensor(expected), rtol=1e-4, atol=1e-4)


def test_the_size_of_an_update_is_the_rate_s() -> None:
    """Whatever the gradients, the root mean square of an update is 0.2 lr, as that of Muon's is about."""
    for gradient in (*drawn((8, 20), 2), torch.ones(8, 20)):
        parameter = nn.Parameter(torch.zeros(8, 20))
        update = moved(NorMuon([parameter], lr=0.1, weight_decay=0), parameter, [gradient])
        assert update.square().mean().sqrt().item() == pytest.approx(0.2 * 0.1, rel=1e-5)


def test_rows_move_alike() -> None:
    """Under steady gradients every row comes to the same root mean square, where Muon's rows differ."""
    (gradient,) = drawn((30, 10), 1)
    spread = []
    for kind in (Muon, NorMuon):
        parameter = nn.Parameter(torch.zeros(30, 10))
        update = moved(kind([parameter], lr=0.1, weight_decay=0), parameter, [gradient] * 3)
        sizes = update.square().mean(-1).sqrt()
        spread.append((sizes.max() / sizes.min()).item())
    assert spread[0] > 2
    assert spread[1] == pytest.approx(1, abs=1e-4)


def test_stacked_matrices_move_as_if_apart() -> None:
    """A weight of three stacked matrices takes the steps that the three would take alone."""
    gradients = drawn((24, 16), 4)
    stacked = nn.Parameter(torch.ones(24, 16))
    together = moved(NorMuon([{"params": [stacked], "num_stacked": 3}]), stacked, gradients)
    apart = []
    for part in range(3):
        parameter = nn.Parameter(torch.ones(8, 16))
        apart.append(moved(NorMuon([parameter]), parameter, [gradient.chunk(3)[part] for gradient in gradients]))
    torch.testing.assert_close(together, torch.cat(apart))


def test_a_matrix_without_gradient_stays() -> None:
    """Zero gradients, as behind a matrix that starts at zero, divide nothing by zero; later ones move it as usual."""
    parameter = nn.Parameter(torch.ones(4, 6))
    optimizer = NorMuon([parameter], lr=0.1, weight_decay=0)
    assert (moved(optimizer, parameter, [torch.zeros(4, 6)]) == 1).all()
    after = moved(optimizer, parameter, drawn((4, 6), 1))
    assert (after - 1).square().mean().sqrt().item() == pytest.approx(0.02, rel=1e-4)


def test_other_groups_take_adamw() -> None:
    """A group with algorithm="adamw" moves exactly as under AdamW."""
    ours, reference = nn.Parameter(torch.ones(5, 3)), nn.Parameter(torch.ones(5, 3))
    normuon = NorMuon([{"params": [ours], "algorithm": "adamw", "lr": 0.01}], betas=(0.8, 0.9), weight_decay=0.2)
    adamw = AdamW([reference], lr=0.01, betas=(0.8, 0.9), weight_decay=0.2)
    gradients = drawn((5, 3), 4)
    assert torch.equal(moved(normuon, ours, gradients), moved(adamw, reference, gradients))


def test_resuming_is_exact() -> None:
    """State carried over through a state dict continues to the same bits: a momentum, and a number a row."""
    gradients = drawn((6, 4), 8)
    straight = nn.Parameter(torch.ones(6, 4))
    expected = moved(NorMuon([straight], lr=0.1), straight, gradients)
    resumed = nn.Parameter(torch.ones(6, 4))
    first = NorMuon([resumed], lr=0.1)
    moved(first, resumed, gradients[:4])
    second = NorMuon([resumed], lr=0.1)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert torch.equal(moved(second, resumed, gradients[4:]), expected)
    assert {name: tuple(tensor.shape) for name, tensor in second.state[resumed].items()} == {
        "momentum_buffer": (6, 4),
        "row_mean_square": (6, 1),
    }
