"""Optimizers, one a file; gradient clipping; build: from an OptimConfig to an optimizer over a model."""

from tinylm.optim.adamw import AdamW
from tinylm.optim.build import build_optimizer
from tinylm.optim.clipping import clip_gradients
from tinylm.optim.muon import Muon
from tinylm.optim.normuon import NorMuon
from tinylm.optim.sgd import SGD

__all__ = ["SGD", "AdamW", "Muon", "NorMuon", "build_optimizer", "clip_gradients"]
