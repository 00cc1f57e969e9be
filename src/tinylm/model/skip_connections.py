"""Blocks with connections from the first half to the second, as in a U-Net."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from tinylm.model.attention import KeyValueCache
from tinylm.model.transformer import Blocks, TransformerBlock


class SkipConnectedBlocks(Blocks):
    """Block L - 1 - i reads x + skip_weights[i] * (the output of block i), for every i with a block in between.

    U-Net's connections (arXiv 1505.04597) in a transformer, with a sum for its concatenation, as in the speed runs of
    GPT-2's training (github.com/KellerJordan/modded-nanogpt); with an even number of blocks those connect the middle
    pair too, where the second's input is the first's output already. The weights start at zero: the model begins as
    it is without.
    """

    def __init__(self, blocks: Iterable[TransformerBlock]) -> None:
        super().__init__(blocks)
        self.skip_weights = nn.Parameter(torch.zeros((len(self) - 1) // 2))

    def forward(
        self,
        x: Tensor,
        token_positions: Tensor,
        caches: Sequence[KeyValueCache | None],
        extra_values: Sequence[Tensor | None],
    ) -> Tensor:
        weights = self.skip_weights.unbind()
        outputs: list[Tensor] = []
        for index, (block, cache, extra_value) in enumerate(zip(self, caches, extra_values, strict=True)):
            opposite = len(self) - 1 - index
            if opposite < len(weights):
                x = x + weights[opposite] * outputs.pop()
            x = block(x, token_positions, cache, extra_value)
            if index < len(weights):
                outputs.append(x)
        return x
