"""What an optimizer's step costs: FLOPs, and the state it keeps."""

from typing import Literal

from tinylm.accounting.parameters import FEED_FORWARD_MATRICES, count_parameters
from tinylm.accounting.shape import ModelShape

Optimizer = Literal["adamw", "muon", "sgd"]

ADAMW_FLOPS_PER_PARAMETER = 15
"""First moment 3, second moment 4, bias corrections 2, root and eps 2, quotient 1, weight decay 1, update 2."""
SGD_FLOPS_PER_PARAMETER = 2
MUON_FLOPS_PER_PARAMETER = 8
"""Beside the iteration: momentum 2, Nesterov 2, norm 2, division by it 1... see `tinylm.optim.muon`."""
NEWTON_SCHULZ_STEPS = 5


def optimizer_flops(shape: ModelShape, optimizer: Optimizer) -> int:
    """FLOPs of one optimizer step, independent of the batch."""
    total = count_parameters(shape).total
    match optimizer:
        case "adamw":
            return ADAMW_FLOPS_PER_PARAMETER * total
        case "sgd":
            return SGD_FLOPS_PER_PARAMETER * total
        case "muon":
            hidden = sum(rows * columns for rows, columns in hidden_matrices(shape))
            iterations = NEWTON_SCHULZ_STEPS * sum(newton_schulz_flops(*m) for m in hidden_matrices(shape))
            return iterations + MUON_FLOPS_PER_PARAMETER * hidden + ADAMW_FLOPS_PER_PARAMETER * (total - hidden)


def newton_schulz_flops(rows: int, columns: int) -> int:
    """One iteration on X, turned so that m <= n: A = X X', A A and (b A + c A A) X take 2 mmn + 2 mmm + 2 mmn."""
    m, n = sorted((rows, columns))
    return 4 * m * m * n + 2 * m**3


def hidden_matrices(shape: ModelShape) -> list[tuple[int, int]]:
    """(rows, columns) of all matrices inside the blocks, the ones Muon handles."""
    square = (shape.d_model, shape.d_model)
    feed_forward = (shape.d_ff, shape.d_model)
    return shape.num_layers * (4 * [square] + FEED_FORWARD_MATRICES[shape.feed_forward] * [feed_forward])
