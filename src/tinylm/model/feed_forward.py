"""The position-wise feed-forward networks."""

from collections.abc import Callable

from torch import Tensor, nn

from tinylm.model.functional import relu_squared, silu
from tinylm.model.layers import Linear


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)), three matrices (arXiv 2002.05202).

    (..., d_model) -> (..., d_model)
    `gate_up` stacks gate over up: the rows of W1, then those of W3 of the paper's notation; `down` is W2.
    """

    def __init__(self, d_model: int, d_ff: int) -> None:
        super().__init__()
        self.gate_up = Linear(d_model, 2 * d_ff, num_stacked=2)
        self.down = Linear(d_ff, d_model)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(silu(gate) * up)


class TwoMatrixFeedForward(nn.Module):
    """down(activation(up(x))), two matrices; as many parameters as SwiGLU with 3/2 of its d_ff.

    (..., d_model) -> (..., d_model)
    """

    activation: Callable[[Tensor], Tensor]

    def __init__(self, d_model: int, d_ff: int) -> None:
        super().__init__()
        self.up = Linear(d_model, d_ff)
        self.down = Linear(d_ff, d_model)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.activation(self.up(x)))


class SiLUFeedForward(TwoMatrixFeedForward):
    """down(silu(up(x)))."""

    activation = staticmethod(silu)


class ReLUSquaredFeedForward(TwoMatrixFeedForward):
    """down(relu(up(x))^2) (arXiv 2109.08668)."""

    activation = staticmethod(relu_squared)
