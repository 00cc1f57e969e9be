"""Value embeddings: the formula, where they go, and that they change nothing at first."""

import torch
from torch import nn

from tinylm.model import MultiHeadSelfAttention, TransformerLM
from tinylm.model.value_embedding import ValueEmbedding

VOCAB, CONTEXT = 50, 12


def make(value_embeddings: int) -> TransformerLM:
    torch.manual_seed(0)
    return TransformerLM(
        VOCAB, CONTEXT, d_model=16, num_layers=3, num_heads=2, d_ff=24, value_embeddings=value_embeddings
    )


def test_it_is_a_row_of_the_table_times_the_scale() -> None:
    """scale * table[token], for each position."""
    embedding, ids = ValueEmbedding(VOCAB, 4), torch.tensor([[3, 1], [3, 7]])
    table, scale = nn.init.normal_(embedding.weight), nn.init.constant_(embedding.scale, 0.25)
    torch.testing.assert_close(
        embedding(ids), torch.stack([torch.stack([scale * table[i] for i in row]) for row in ids])
    )


def test_it_is_added_to_the_values_alone() -> None:
    """To add A e to the values is to attend with the values' projection of x moved by e; the scores do not notice."""
    layer, x, extra = MultiHeadSelfAttention(16, 2), torch.randn(2, 5, 16), torch.randn(2, 5, 16)
    query, key, value = (part.view(2, 5, 2, 8).transpose(1, 2) for part in layer.qkv(x).chunk(3, dim=-1))
    value = value + extra.view(2, 5, 2, 8).transpose(1, 2)
    mixed = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    torch.testing.assert_close(layer(x, extra_value=extra), layer.output(mixed.transpose(1, 2).flatten(2)))


def test_values_stay_as_narrow_as_they_were() -> None:
    """A float32 vector added to bfloat16 values leaves them bfloat16, as the cache of a decoder expects."""
    seen = []
    layer = MultiHeadSelfAttention(16, 2, attention=lambda _query, _key, value: seen.append(value.dtype) or value)
    with torch.autocast("cpu", torch.bfloat16):
        layer(torch.randn(2, 5, 16), extra_value=torch.randn(2, 5, 16))
    assert seen == [torch.bfloat16]


def test_the_last_blocks_have_one_each() -> None:
    """A vector in the table of the last block changes what that block reads as values, and nothing before it."""
    model, ids = make(2), torch.randint(0, VOCAB, (1, CONTEXT))
    for changed, first_affected in ((1, 2), (0, 1)):
        before, after = outputs(model, ids), None
        nn.init.normal_(model.value_embeddings[changed].weight)  # type: ignore[union-attr, arg-type]
        after = outputs(model, ids)
        same = [torch.equal(x, y) for x, y in zip(before, after, strict=True)]
        assert same == [index < first_affected for index in range(3)]


def outputs(model: TransformerLM, ids: torch.Tensor) -> list[torch.Tensor]:
    """What each block returns."""
    found: list[torch.Tensor] = []
    handles = [block.register_forward_hook(lambda _block, _inputs, x: found.append(x)) for block in model.blocks]
    model(ids)
    for handle in handles:
        handle.remove()
    return found


def test_it_begins_as_the_model_without_and_learns_at_once() -> None:
    """At first the logits are those of the same seed without; the rows of tokens that occur have a gradient."""
    model, plain, ids = make(3), make(0), torch.tensor([[4, 9, 4]])
    assert torch.equal(model(ids), plain(ids))
    model(ids)[0, :, 0].sum().backward()
    for embedding in model.value_embeddings:
        assert embedding.weight.grad.any(-1).nonzero().flatten().tolist() == [4, 9]  # type: ignore[union-attr]
