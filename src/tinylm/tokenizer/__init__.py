"""Byte-level BPE: training, encoding, decoding, storage."""

from tinylm.tokenizer.tokenizer import Tokenizer
from tinylm.tokenizer.train import TrainingProgress, train_bpe

__all__ = ["Tokenizer", "TrainingProgress", "train_bpe"]
