"""The `[optim]` table: one class per optimizer, told apart by `kind`."""

from typing import Annotated, Literal

from pydantic import Field

from tinylm.configs.base import Table

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Decay = Annotated[float, Field(ge=0, lt=1)]


class _Optim(Table):
    lr: Positive = 2e-3
    """Peak learning rate."""
    max_grad_norm: NonNegative = 1.0
    """Gradients are scaled down to this global L2 norm; 0 means no clipping."""


class _Apart(_Optim):
    """Rates of their own for the matrices at both ends of the model."""

    embedding_lr: Positive | None = None
    """Peak learning rate of embedding tables, a tied head's too. When not given: as AdamW's other parameters."""
    head_lr: Positive | None = None
    """Peak learning rate of an untied head. When not given: as AdamW's other parameters."""


class AdamWConfig(_Apart):
    """AdamW (arXiv 1711.05101)."""

    kind: Literal["adamw"] = "adamw"
    """Which optimizer."""
    beta1: Decay = 0.9
    """Decay of the first moment."""
    beta2: Decay = 0.95
    """Decay of the second moment."""
    eps: Positive = 1e-8
    """Added to the root of the second moment."""
    weight_decay: NonNegative = 0.1
    """Decoupled weight decay."""


class _Muon(_Apart):
    momentum: Decay = 0.95
    """Momentum of the hidden matrices' updates."""
    weight_decay: NonNegative = 0.1
    """Decoupled weight decay."""
    adamw_lr: Positive = 2e-3
    """Peak learning rate of the parameters that AdamW handles."""
    beta1: Decay = 0.9
    """Decay of AdamW's first moment."""
    beta2: Decay = 0.95
    """Decay of AdamW's second moment."""
    eps: Positive = 1e-8
    """Added to the roots of second moments."""


class MuonConfig(_Muon):
    """Muon for the hidden matrices, AdamW for embeddings, head and norms."""

    kind: Literal["muon"] = "muon"
    """Which optimizer."""


class NorMuonConfig(_Muon):
    """Muon whose updates are balanced between rows (NorMuon, arXiv 2510.05491), AdamW for the rest."""

    kind: Literal["normuon"] = "normuon"
    """Which optimizer."""
    row_beta: Decay = 0.95
    """Decay of each row's mean square."""


class SGDConfig(_Optim):
    """Stochastic gradient descent whose rate decays as lr / sqrt(step + 1), as in the write-up's toy problem."""

    kind: Literal["sgd"] = "sgd"
    """Which optimizer."""


OptimConfig = Annotated[AdamWConfig | MuonConfig | NorMuonConfig | SGDConfig, Field(discriminator="kind")]
