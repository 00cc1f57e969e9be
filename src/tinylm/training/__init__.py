"""The training loop and what it leaves on disk."""

from tinylm.training.checkpoint import load_checkpoint, save_checkpoint

__all__ = ["load_checkpoint", "save_checkpoint"]
