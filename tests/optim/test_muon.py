"""Muon against the singular value decomposition and against torch.optim.Muon."""

import pytest
import torch
from torch import Tensor, nn

from tinylm.optim import AdamW, Muon
from tinylm.optim.muon import orthogonalise


def orthogonalise_by_svd(matrix: Tensor) -> Tensor:
    """The iteration's polynomial, applied to the singular values themselves."""
    left, values, right = torch.linalg.svd(matrix / matrix.norm(), full_matrices=False)
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return left @ torch.diag(values) @ right


@pytest.mark.parametrize("shape", [(8, 8), (8, 20), (20, 8)])
def test_orthogonalise_acts_on_the_singular_values_only(shape: tuple[int, int]) -> None:
    """Newton-Schulz gives what its polynomial makes of the singular values, with the same singular vectors."""
    matrix = torch.randn(shape, dtype=torch.float64)
    torch.testing.assert_close(orthogonalise(matrix), orthogonalise_by_svd(matrix), rtol=0, atol=1e-4)


def test_orthogonalise_brings_singular_values_near_one() -> None:
    """Whatever the scale, singular values end between 0.6 and 1.3, as long as none was tiny."""
    left, _, right = torch.linalg.svd(torch.randn(32, 16), full_matrices=False)
    matrix = 1e3 * left @ torch.diag(torch.linspace(0.1, 1, 16)) @ right
    values = torch.linalg.svdvals(orthogonalise(matrix))
    assert 0.6 < values.min() < values.max() < 1.3


def test_bfloat16_is_enough() -> None:
    """Iterating in bfloat16 is less than 5 % off, in the type of the matrix."""
    matrix = torch.randn(24, 40)
    low, exact = orthogonalise(matrix, torch.bfloat16), orthogonalise(matrix)
    assert low.dtype is torch.float32
    assert 0 < (low - exact).norm() < 0.05 * exact.norm()


def test_a_batch_is_its_matrices() -> None:
    """Matrices of one shape go through together as they would alone."""
    matrices = torch.randn(3, 2, 6, 10)
    alone = torch.stack([orthogonalise(matrix) for matrix in matrices.flatten(0, 1)])
    torch.testing.assert_close(orthogonalise(matrices).flatten(0, 1), alone)


def test_a_zero_matrix_stays_zero() -> None:
    """A matrix that got no gradient is not divided by its norm of zero."""
    assert (orthogonalise(torch.zeros(4, 6)) == 0).all()


def steps(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()
    return [parameter.detach() for parameter in parameters]


def parameters_of(*shapes: tuple[int, ...]) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def test_equals_torch() -> None:
    """Several steps end where torch.optim.Muon's end, up to the bfloat16 that it computes in."""
    shapes = [(16, 16), (16, 24), (16, 16), (24, 16)]
    ours, torchs = parameters_of(*shapes), parameters_of(*shapes)
    settings = {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.5}
    mine = steps(Muon(ours, **settings), ours, 5)
    theirs = steps(torch.optim.Muon(torchs, **settings, adjust_lr_fn="match_rms_adamw"), torchs, 5)
    moved = max((a - b).abs().max() for a, b in zip(mine, parameters_of(*shapes), strict=True))
    torch.testing.assert_close(mine, theirs, rtol=0, atol=0.02 * moved.item())


def test_stacked_matrices_move_as_if_apart() -> None:
    """A weight of three stacked matrices takes the steps that the three would take alone."""
    stacked = parameters_of((24, 16))
    apart = [nn.Parameter(part.clone()) for part in stacked[0].data.chunk(3)]
    together = steps(Muon([{"params": stacked, "num_stacked": 3}]), stacked, 3)[0]
    generator = torch.Generator().manual_seed(1)
    optimizer = Muon(apart)
    for _ in range(3):
        for parameter, gradient in zip(apart, torch.randn(24, 16, generator=generator).chunk(3), strict=True):
            parameter.grad = gradient
        optimizer.step()
    torch.testing.assert_close(together, torch.cat([part.detach() for part in apart]))


def test_other_groups_take_adamw() -> None:
    """A group with algorithm="adamw" moves exactly as under AdamW."""
    ours, reference = parameters_of((5, 3), (4,)), parameters_of((5, 3), (4,))
    muon = Muon([{"params": ours, "algorithm": "adamw", "lr": 0.01}], betas=(0.8, 0.9), weight_decay=0.2)
    adamw = AdamW(reference, lr=0.01, betas=(0.8, 0.9), weight_decay=0.2)
    assert all(map(torch.equal, steps(muon, ours, 4), steps(adamw, reference, 4)))


def test_parameters_without_gradient_stay() -> None:
    """A matrix that took no part in the loss is neither moved nor decayed."""
    used, unused = parameters_of((4, 4), (4, 4))
    before = unused.detach().clone()
    used.grad = torch.ones(4, 4)
    Muon([used, unused]).step()
    assert torch.equal(unused, before)
