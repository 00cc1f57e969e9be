"""Embeddings that go past the residual stream, straight into the values of attention."""

import torch
from torch import Tensor, nn


class ValueEmbedding(nn.Module):
    """A second vector for each token, added to the values that one block's attention mixes: scale * table[token].

    (batch, seq) of ids -> (batch, seq, d_model)
    Deep in a model the stream says little of which token a position holds; the first block's values, brought there,
    help (value residual learning, arXiv 2410.17897). A table for the block does the same with parameters that cost
    next to no FLOPs, as in the speed runs of GPT-2's training (github.com/KellerJordan/modded-nanogpt), where two
    blocks share one. The table starts at zero and the scale at one: the model begins as it is without.
    """

    def __init__(self, vocab_size: int, d_model: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(vocab_size, d_model))
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, token_ids: Tensor) -> Tensor:
        return self.scale * self.weight[token_ids]
