"""What an optimizer's step costs: FLOPs, and the state it keeps."""

from dataclasses import dataclass
from typing import Literal

from tinylm.accounting.parameters import FEED_FORWARD_MATRICES, count_parameters
from tinylm.accounting.shape import ModelShape

Optimizer = Literal["adamw", "muon", "normuon", "sgd"]

ADAMW_FLOPS_PER_PARAMETER = 15
"""First moment 3, second moment 4, bias corrections 2, root and eps 2, quotient 1, weight decay 1, update 2."""
SGD_FLOPS_PER_PARAMETER = 2
MUON_FLOPS_PER_PARAMETER = 12
"""Beside the iteration: momentum 3, Nesterov 3, norm 2, division by it 1, weight decay 1, update 2."""
NORMUON_FLOPS_PER_PARAMETER = MUON_FLOPS_PER_PARAMETER + 6
"""Beside Muon's: mean square of a row 2, division by its root 1, norm 2, division by it 1."""
NEWTON_SCHULZ_STEPS = 5


def optimizer_flops(shape: ModelShape, optimizer: Optimizer) -> int:
    """FLOPs of one optimizer step, independent of the batch."""
    total = count_parameters(shape).total
    match optimizer:
        case "adamw":
            return ADAMW_FLOPS_PER_PARAMETER * total
        case "sgd":
            return SGD_FLOPS_PER_PARAMETER * total
        case "muon" | "normuon":
            hidden = hidden_parameters(shape)
            one_iteration = sum(
                group.count * newton_schulz_flops(group.rows, group.columns) for group in muon_groups(shape)
            )
            each = MUON_FLOPS_PER_PARAMETER if optimizer == "muon" else NORMUON_FLOPS_PER_PARAMETER
            elementwise = each * hidden + ADAMW_FLOPS_PER_PARAMETER * (total - hidden)
            return NEWTON_SCHULZ_STEPS * one_iteration + elementwise


def newton_schulz_flops(rows: int, columns: int) -> int:
    """One iteration on X, turned so that m <= n: A = X X', A A and (b A + c A A) X take 2 mmn + 2 mmm + 2 mmn."""
    m, n = sorted((rows, columns))
    return 4 * m * m * n + 2 * m**3


@dataclass(frozen=True)
class MatrixGroup:
    """Matrices of one shape that Muon takes through its iteration together."""

    rows: int
    columns: int
    count: int


def muon_groups(shape: ModelShape) -> list[MatrixGroup]:
    """All matrices inside the blocks: query, key and value; output; gate and up (or up alone); down."""
    width, inner, layers = shape.d_model, shape.d_ff, shape.num_layers
    into_feed_forward = FEED_FORWARD_MATRICES[shape.feed_forward] - 1
    return [
        MatrixGroup(width, width, 3 * layers),
        MatrixGroup(width, width, layers),
        MatrixGroup(inner, width, into_feed_forward * layers),
        MatrixGroup(width, inner, layers),
    ]


def hidden_parameters(shape: ModelShape) -> int:
    """Parameters that Muon handles; AdamW has the rest."""
    return sum(group.count * group.rows * group.columns for group in muon_groups(shape))


def hidden_rows(shape: ModelShape) -> int:
    """Rows of the matrices that Muon handles: the neurons that NorMuon tells apart."""
    return sum(group.count * group.rows for group in muon_groups(shape))


def optimizer_state_bytes(shape: ModelShape, optimizer: Optimizer) -> int:
    """Float32 state: two moments a parameter for AdamW, nothing for SGD.

    What Muon handles has one momentum a parameter, and under NorMuon a mean square a row.
    """
    total = count_parameters(shape).total
    match optimizer:
        case "adamw":
            return 8 * total
        case "sgd":
            return 0
        case "muon" | "normuon":
            hidden = hidden_parameters(shape)
            rows = hidden_rows(shape) if optimizer == "normuon" else 0
            return 4 * (hidden + rows) + 8 * (total - hidden)


def optimizer_workspace_bytes(shape: ModelShape, optimizer: Optimizer, width: int) -> int:
    """What a step allocates and frees: nothing where it updates in place; Muon's iteration on its largest group.

    width: bytes an element of the run's matrix products, which the iteration shares.
    """
    if optimizer not in {"muon", "normuon"}:
        return 0
    return max(group.count * iteration_bytes(group.rows, group.columns, width) for group in muon_groups(shape))


def iteration_bytes(rows: int, columns: int, width: int) -> int:
    """The larger of two moments, for one matrix, beside its direction in float32.

    At one there are four tensors of X's size (X, a X, (b A + c A A) X, and their sum) and A; at the other two (X, a X)
    and four of A's (A, b A, A A, and their sum).
    """
    m, n = sorted((rows, columns))
    return 4 * m * n + width * max(4 * m * n + m * m, 2 * m * n + 4 * m * m)
