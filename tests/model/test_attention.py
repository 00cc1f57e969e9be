"""Multi-head attention against torch.nn, the two implementations against each other, and the cache."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tinylm.accounting import activations
from tinylm.model import MultiHeadSelfAttention, RMSNorm, RotaryEmbedding
from tinylm.model.attention import (
    LONGEST_UNFUSED,
    CausalAttention,
    KeyValueCache,
    causal_mask,
    manual_attention,
    sdpa_attention,
    unfused_attention,
)
from tinylm.model.layers import Norm

D_MODEL, HEADS, SEQ = 16, 4, 10
BOTH = pytest.mark.parametrize("attention", [manual_attention, sdpa_attention])


def make(
    attention: CausalAttention = sdpa_attention, *, rope: bool = True, qk_norm: Norm = nn.Identity
) -> MultiHeadSelfAttention:
    torch.manual_seed(0)
    rotary = RotaryEmbedding(10_000.0, D_MODEL // HEADS, SEQ) if rope else None
    return MultiHeadSelfAttention(D_MODEL, HEADS, rope=rotary, attention=attention, qk_norm=qk_norm)


@BOTH
def test_equals_torch(attention: CausalAttention) -> None:
    """Without RoPE the layer is nn.MultiheadAttention with a causal mask, whose weights are laid out the same way."""
    layer = make(attention, rope=False)
    oracle = nn.MultiheadAttention(D_MODEL, HEADS, bias=False, batch_first=True)
    oracle.load_state_dict({"in_proj_weight": layer.qkv.weight, "out_proj.weight": layer.output.weight})
    x = torch.randn(2, SEQ, D_MODEL)
    not_allowed = torch.ones(SEQ, SEQ, dtype=torch.bool).triu(1)
    torch.testing.assert_close(layer(x), oracle(x, x, x, attn_mask=not_allowed, need_weights=False)[0])


def fused(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """PyTorch's kernel."""
    return F.scaled_dot_product_attention(query, key, value, is_causal=True)


@pytest.mark.parametrize("num_queries", [1, 3, SEQ])
def test_manual_and_sdpa_agree(num_queries: int) -> None:
    """Both implementations give the same values and gradients, also when only the last positions ask."""
    inputs = [torch.randn(2, HEADS, n, 8, dtype=torch.float64, requires_grad=True) for n in (num_queries, SEQ, SEQ)]
    upstream = torch.randn(2, HEADS, num_queries, 8, dtype=torch.float64)
    outputs = [attend(*inputs) for attend in (manual_attention, sdpa_attention)]
    torch.testing.assert_close(outputs[0], outputs[1])
    torch.testing.assert_close(*(torch.autograd.grad(output, inputs, upstream) for output in outputs))


@pytest.mark.parametrize(("length", "kernel"), [(1, unfused_attention), (512, unfused_attention), (513, fused)])
def test_short_sequences_in_bf16_take_products_on_a_cpu(length: int, kernel: CausalAttention) -> None:
    """Up to 512 positions bit for bit those of `unfused_attention`, beyond and in float32 PyTorch's fused kernel's."""
    torch.manual_seed(0)
    parts = [torch.randn(2, 3, length, 16) for _ in range(3)]
    halves = [part.bfloat16() for part in parts]
    assert torch.equal(sdpa_attention(*halves), kernel(*halves))
    assert torch.equal(sdpa_attention(*parts), fused(*parts))


def test_unfused_attention_is_causal_attention() -> None:
    """In float64 equal to PyTorch's, with its gradients; in bf16 within its rounding. Accounting knows its limit."""
    torch.manual_seed(0)
    parts = [torch.randn(2, 3, 40, 16, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    ours, theirs = unfused_attention(*parts), fused(*parts)
    torch.testing.assert_close(ours, theirs)
    seed = torch.randn_like(ours)
    gradients = zip(torch.autograd.grad(ours, parts, seed), torch.autograd.grad(theirs, parts, seed), strict=True)
    for one, two in gradients:
        torch.testing.assert_close(one, two)
    rounded = unfused_attention(*(part.bfloat16() for part in parts))
    torch.testing.assert_close(rounded.double(), theirs, atol=2e-2, rtol=2e-2)
    assert activations.LONGEST_UNFUSED == LONGEST_UNFUSED


def test_causal_mask_aligns_the_last_query_with_the_last_key() -> None:
    """Two queries at the end of four positions see three and four keys."""
    assert causal_mask(torch.empty(2, 8), torch.empty(4, 8)).int().tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]


@BOTH
@pytest.mark.parametrize("qk_norm", [nn.Identity, RMSNorm])
@pytest.mark.parametrize("chunks", [[1] * SEQ, [4, 1, 5], [SEQ]])
def test_the_cache_changes_nothing(attention: CausalAttention, qk_norm: Norm, chunks: list[int]) -> None:
    """A sequence given in pieces through a cache gives what it gives in one piece."""
    layer, x = make(attention, qk_norm=qk_norm), torch.randn(2, SEQ, D_MODEL)
    cache, positions = KeyValueCache(SEQ), torch.arange(SEQ)
    pieces = [
        layer(piece, where, cache) for piece, where in zip(x.split(chunks, 1), positions.split(chunks), strict=True)
    ]
    torch.testing.assert_close(torch.cat(pieces, dim=1), layer(x))
    assert cache.num_positions == SEQ


def test_qk_norm_normalises_each_head_before_rope() -> None:
    """The layer is attention over rotated, normalised queries and keys, each with its gain; values are left alone."""
    layer, x, positions = make(qk_norm=RMSNorm), torch.randn(2, SEQ, D_MODEL), torch.arange(SEQ)
    assert layer.rope is not None
    gains = [nn.init.normal_(norm.weight) for norm in (layer.query_norm, layer.key_norm)]
    query, key, value = layer.qkv(x).view(2, SEQ, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
    normed = [F.rms_norm(part, (4,), gain, eps=1e-5) for part, gain in zip((query, key), gains, strict=True)]
    query, key = (layer.rope(part, positions) for part in normed)
    mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
    torch.testing.assert_close(layer(x), layer.output(mixed.transpose(1, 2).flatten(2)))


def test_qk_norm_keeps_scores_from_growing_with_the_weights() -> None:
    """A hundred times the query and key weights change nothing; without the norm they do."""
    x = torch.randn(2, SEQ, D_MODEL)
    for qk_norm in (RMSNorm, nn.Identity):
        layer = make(qk_norm=qk_norm)
        before = layer(x)
        with torch.no_grad():
            layer.qkv.weight[: 2 * D_MODEL] *= 100
        assert torch.allclose(layer(x), before, atol=1e-3) is (qk_norm is RMSNorm)


def test_positions_default_to_counting_from_zero() -> None:
    """Left out, the positions are 0, 1, ...; given per sequence, each sequence has its own."""
    layer, x = make(), torch.randn(2, SEQ, D_MODEL)
    counting, backwards = torch.arange(SEQ), torch.arange(SEQ).flip(0)
    torch.testing.assert_close(layer(x), layer(x, counting))
    torch.testing.assert_close(
        layer(x, torch.stack((counting, backwards))), torch.cat((layer(x[:1], counting), layer(x[1:], backwards)))
    )


def test_rope_tells_positions_apart() -> None:
    """With RoPE, which order the earlier tokens stand in matters to the last; without, it does not."""
    x = torch.randn(1, SEQ, D_MODEL)
    shuffled = torch.cat((x[:, :-1].flip(1), x[:, -1:]), dim=1)
    for rope in (True, False):
        layer = make(rope=rope)
        assert torch.allclose(layer(x)[:, -1], layer(shuffled)[:, -1], atol=1e-6) is not rope
