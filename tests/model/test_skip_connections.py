"""Skip connections: which block reads which output, and that they change nothing at first."""

import pytest
import torch
from torch import nn

from tinylm.model import TransformerBlock, TransformerLM
from tinylm.model.skip_connections import SkipConnectedBlocks
from tinylm.model.transformer import Blocks

VOCAB, CONTEXT = 50, 12


def make(num_layers: int, stack: type[Blocks] = SkipConnectedBlocks) -> TransformerLM:
    torch.manual_seed(0)
    return TransformerLM(VOCAB, CONTEXT, d_model=16, num_layers=num_layers, num_heads=2, d_ff=24, stack=stack)


@pytest.mark.parametrize(
    ("num_layers", "sources"), [(3, {2: 0}), (4, {3: 0}), (5, {3: 1, 4: 0}), (8, {5: 2, 6: 1, 7: 0})]
)
def test_each_block_reads_its_mirror_image_s_output(num_layers: int, sources: dict[int, int]) -> None:
    """Block L - 1 - i adds weight i times what block i returned, where at least one block lies between the two."""
    blocks = SkipConnectedBlocks(TransformerBlock(16, 2, 24) for _ in range(num_layers))
    nn.init.normal_(blocks.skip_weights)
    none = [None] * num_layers
    x, outputs = torch.randn(2, 5, 16), []
    result = blocks(x, torch.arange(5), none, none)
    for index in range(num_layers):
        if index in sources:
            x = x + blocks.skip_weights[sources[index]] * outputs[sources[index]]
        x = blocks[index](x)
        outputs.append(x)
    torch.testing.assert_close(result, x)
    assert len(blocks.skip_weights) == len(sources)


def test_they_begin_as_the_model_without_and_learn_at_once() -> None:
    """At first the logits are those of the same seed without; every weight has a gradient."""
    model, plain, ids = make(5), make(5, Blocks), torch.randint(0, VOCAB, (2, CONTEXT))
    assert torch.equal(model(ids), plain(ids))
    model(ids).square().sum().backward()
    assert (model.blocks.skip_weights.grad != 0).all()
