"""The block's two forms, and the model: causality, cache, tying, context."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tinylm.errors import UsageError
from tinylm.model import RMSNorm, TransformerBlock, TransformerLM
from tinylm.model.transformer import PostNormTransformerBlock

VOCAB, CONTEXT = 50, 12


def make(**variants: object) -> TransformerLM:
    torch.manual_seed(0)
    return TransformerLM(VOCAB, CONTEXT, d_model=16, num_layers=3, num_heads=2, d_ff=24, **variants)  # type: ignore[arg-type]


@pytest.fixture
def token_ids() -> torch.Tensor:
    return torch.randint(0, VOCAB, (2, CONTEXT), generator=torch.Generator().manual_seed(1))


def test_pre_norm_leaves_the_residual_stream_alone() -> None:
    """A pre-norm block adds what its sub-layers make of the normalised stream."""
    block, x = TransformerBlock(16, 2, 24), torch.randn(2, 5, 16)
    y = x + block.attention(block.attention_norm(x))
    torch.testing.assert_close(block(x), y + block.feed_forward(block.feed_forward_norm(y)))


def test_post_norm_normalises_after_the_addition() -> None:
    """A post-norm block normalises each sum, so that its output has mean square one."""
    block, x = PostNormTransformerBlock(16, 2, 24), 10 * torch.randn(2, 5, 16)
    y = block.attention_norm(x + block.attention(x))
    torch.testing.assert_close(block(x), block.feed_forward_norm(y + block.feed_forward(y)))
    torch.testing.assert_close(block(x).square().mean(-1), torch.ones(2, 5), rtol=1e-3, atol=0)


@pytest.mark.parametrize("block", [TransformerBlock, PostNormTransformerBlock])
def test_future_tokens_do_not_change_past_logits(block: type[TransformerBlock], token_ids: torch.Tensor) -> None:
    """Changing a token changes the logits from its position on, and none before."""
    model = make(block=block)
    changed = token_ids.clone()
    changed[:, 7] = (changed[:, 7] + 1) % VOCAB
    same = (model(token_ids) == model(changed)).all(-1).all(0)
    assert same.tolist() == [True] * 7 + [False] * 5


@pytest.mark.parametrize("variant", [{}, {"block": PostNormTransformerBlock}, {"rope_theta": None}])
def test_the_cache_changes_nothing(variant: dict[str, object], token_ids: torch.Tensor) -> None:
    """Logits made in pieces through a cache are those made in one piece."""
    model = make(**variant)
    cache = model.new_cache()
    pieces = [model(piece, cache) for piece in token_ids.split([5, 1, 1, 5], dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), model(token_ids))


def test_a_tied_head_is_the_embedding(token_ids: torch.Tensor) -> None:
    """A tied model has one matrix for both ends, in a copy too, and its state dict holds it once."""
    tied, untied = make(tie_embeddings=True), make()
    assert set(untied.state_dict()) - set(tied.state_dict()) == {"lm_head.weight"}
    clone = copy.deepcopy(tied)
    nn.init.zeros_(clone.token_embedding.weight)
    assert (clone(token_ids) == 0).all()
    assert not (tied(token_ids) == 0).all()


@pytest.mark.parametrize("tie_embeddings", [False, True])
def test_a_soft_cap_bends_the_logits(tie_embeddings: bool, token_ids: torch.Tensor) -> None:
    """The logits are c tanh(logits / c) of the same model's without, whichever head made them."""
    plain, capped = (make(tie_embeddings=tie_embeddings, logit_softcap=cap) for cap in (None, 0.5))
    torch.testing.assert_close(capped(token_ids), 0.5 * torch.tanh(plain(token_ids) / 0.5))


@pytest.mark.parametrize("tie_embeddings", [False, True])
def test_an_untrained_model_knows_next_to_nothing(tie_embeddings: bool) -> None:
    """Initial logits are of order one, so that the first loss is near ln(vocab_size)."""
    torch.manual_seed(0)
    model = TransformerLM(1000, 16, 256, 2, 4, 384, tie_embeddings=tie_embeddings)
    std = model(torch.randint(0, 1000, (4, 16))).std().item()
    assert 0.5 < std < 1.5


@pytest.mark.parametrize("block", [TransformerBlock, PostNormTransformerBlock])
def test_zero_outputs_leave_the_stream_alone_and_all_other_weights(block: type[TransformerBlock]) -> None:
    """Both sub-layers of every block add nothing at first; the other weights are those of the same seed without."""
    zeroed, plain = make(block=block, zero_init_outputs=True), make(block=block)
    x = torch.randn(2, 5, 16)
    for layer in zeroed.blocks:
        assert (layer.attention(x) == 0).all()
        assert (layer.feed_forward(x) == 0).all()
    weights, plain_weights = zeroed.state_dict(), plain.state_dict()
    changed = {name for name in plain_weights if not torch.equal(weights[name], plain_weights[name])}
    assert changed == {name for name in plain_weights if name.endswith(("attention.output.weight", "down.weight"))}


def test_the_embedding_norm_comes_before_the_first_block(token_ids: torch.Tensor) -> None:
    """The model is the plain one whose embedding holds the normalised vectors, times the norm's gain."""
    normed, plain = make(embedding_norm=RMSNorm), make()
    gain = nn.init.normal_(normed.embedding_norm.weight)  # type: ignore[arg-type]
    weights = {name: weight for name, weight in normed.state_dict().items() if name != "embedding_norm.weight"}
    vectors = F.rms_norm(weights["token_embedding.weight"], (16,), gain, eps=1e-5)
    plain.load_state_dict(weights | {"token_embedding.weight": vectors})
    torch.testing.assert_close(normed(token_ids), plain(token_ids))


def test_state_dict_names() -> None:
    """The names that checkpoints and exports rely on."""
    assert list(make().state_dict())[:7] == [
        "token_embedding.weight",
        "blocks.0.attention_norm.weight",
        "blocks.0.attention.qkv.weight",
        "blocks.0.attention.output.weight",
        "blocks.0.feed_forward_norm.weight",
        "blocks.0.feed_forward.gate_up.weight",
        "blocks.0.feed_forward.down.weight",
    ]
    assert list(make().state_dict())[-2:] == ["final_norm.weight", "lm_head.weight"]


def test_a_sequence_beyond_the_context_is_refused() -> None:
    """The error has both numbers, whether the tokens come at once or through a cache."""
    model = make()
    cache = model.new_cache()
    model(torch.zeros(1, 10, dtype=torch.long), cache)
    for tokens, used in ((13, None), (3, cache)):
        with pytest.raises(UsageError, match=r"13 tokens does not fit context_length 12"):
            model(torch.zeros(1, tokens, dtype=torch.long), used)
