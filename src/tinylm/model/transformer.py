"""The transformer block and the language model."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from tinylm.errors import UsageError
from tinylm.model.attention import CausalAttention, KeyValueCache, MultiHeadSelfAttention, sdpa_attention
from tinylm.model.feed_forward import SwiGLU
from tinylm.model.layers import Embedding, Linear, Norm, RMSNorm, SoftCap
from tinylm.model.rope import RotaryEmbedding
from tinylm.model.value_embedding import ValueEmbedding

FeedForward = Callable[[int, int], nn.Module]
"""d_model, d_ff -> a layer (..., d_model) -> (..., d_model)"""


class TransformerBlock(nn.Module):
    """Pre-norm: x + attention(norm(x)), then x + feed_forward(norm(x)); the residual stream itself is never normalised.

    (batch, seq, d_model) -> (batch, seq, d_model)
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        *,
        rope: RotaryEmbedding | None = None,
        norm: Norm = RMSNorm,
        qk_norm: Norm = nn.Identity,
        feed_forward: FeedForward = SwiGLU,
        attention: CausalAttention = sdpa_attention,
    ) -> None:
        super().__init__()
        self.attention_norm = norm(d_model)
        self.attention = MultiHeadSelfAttention(d_model, num_heads, rope=rope, attention=attention, qk_norm=qk_norm)
        self.feed_forward_norm = norm(d_model)
        self.feed_forward = feed_forward(d_model, d_ff)

    def forward(
        self,
        x: Tensor,
        token_positions: Tensor | None = None,
        cache: KeyValueCache | None = None,
        extra_value: Tensor | None = None,
    ) -> Tensor:
        x = x + self.attention(self.attention_norm(x), token_positions, cache, extra_value)
        return x + self.feed_forward(self.feed_forward_norm(x))

    def zero_outputs(self) -> None:
        """Let both sub-layers add nothing at first, so that a deep model starts as a shallow one (arXiv 1901.09321)."""
        nn.init.zeros_(self.attention.output.weight)
        nn.init.zeros_(self.feed_forward.get_parameter("down.weight"))


class PostNormTransformerBlock(TransformerBlock):
    """Post-norm, as in arXiv 1706.03762: norm(x + attention(x)), then norm(x + feed_forward(x))."""

    def forward(
        self,
        x: Tensor,
        token_positions: Tensor | None = None,
        cache: KeyValueCache | None = None,
        extra_value: Tensor | None = None,
    ) -> Tensor:
        x = self.attention_norm(x + self.attention(x, token_positions, cache, extra_value))
        return self.feed_forward_norm(x + self.feed_forward(x))


class Blocks(nn.ModuleList):
    """The blocks one after another, each with a cache and a value of its own where there is one.

    (batch, seq, d_model) -> (batch, seq, d_model)
    """

    def forward(
        self,
        x: Tensor,
        token_positions: Tensor,
        caches: Sequence[KeyValueCache | None],
        extra_values: Sequence[Tensor | None],
    ) -> Tensor:
        for block, cache, extra_value in zip(self, caches, extra_values, strict=True):
            x = block(x, token_positions, cache, extra_value)
        return x


class TransformerLM(nn.Module):
    """A decoder-only language model: embedding, blocks, final norm, head.

    (batch, seq) of ids -> (batch, seq, vocab) of logits for the token that follows each position

    The final norm stays with either kind of block, so that an ablation of the placement changes nothing else. Pre-norm
    needs it, for its stream grows with every block; post-norm hands it a stream already normalised.

    A tied head multiplies with the token embedding itself and has no parameter of its own. That one matrix starts at
    std 1 / sqrt(d_model) instead of 1: the logits then have std 1, not sqrt(d_model), and the loss begins near
    ln(vocab_size); the first norm brings the small embedding back to scale.

    embedding_norm: brings the stream to the same scale at every token before the first block, which pre-norm by itself
    does for what the blocks read, but not for what they add to (BLOOM, arXiv 2211.05100, with LayerNorm).
    rope_theta: None leaves out position information.
    value_embeddings: so many of the last blocks have one each.
    zero_init_outputs: the last matrix of each sub-layer starts at zero; all other weights are those that the seed gives
    without. The head is left as it is: at zero it would pass nothing back in the first step, and a tied one cannot be.
    logit_softcap: the logits stay between its negative and itself; None leaves them as they are.
    """

    def __init__(
        self,
        vocab_size: int,
        context_length: int,
        d_model: int,
        num_layers: int,
        num_heads: int,
        d_ff: int,
        rope_theta: float | None = 10_000.0,
        *,
        block: type[TransformerBlock] = TransformerBlock,
        stack: type[Blocks] = Blocks,
        norm: Norm = RMSNorm,
        embedding_norm: Norm = nn.Identity,
        qk_norm: Norm = nn.Identity,
        feed_forward: FeedForward = SwiGLU,
        attention: CausalAttention = sdpa_attention,
        tie_embeddings: bool = False,
        value_embeddings: int = 0,
        zero_init_outputs: bool = False,
        logit_softcap: float | None = None,
    ) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.context_length = context_length
        rope = RotaryEmbedding(rope_theta, d_model // num_heads, context_length) if rope_theta is not None else None
        self.token_embedding = Embedding(vocab_size, d_model, std=d_model**-0.5 if tie_embeddings else 1.0)
        self.embedding_norm = embedding_norm(d_model)
        blocks = [
            block(
                d_model,
                num_heads,
                d_ff,
                rope=rope,
                norm=norm,
                qk_norm=qk_norm,
                feed_forward=feed_forward,
                attention=attention,
            )
            for _ in range(num_layers)
        ]
        self.blocks = stack(blocks)
        self.final_norm = norm(d_model)
        # The tied head is a method, not a second name of the weight: a state dict holds each tensor once.
        self.lm_head: Callable[[Tensor], Tensor] = (
            self.token_embedding.logits if tie_embeddings else Linear(d_model, vocab_size)
        )
        self.value_embeddings = nn.ModuleList(ValueEmbedding(vocab_size, d_model) for _ in range(value_embeddings))
        if zero_init_outputs:
            for each in blocks:
                each.zero_outputs()
        self.softcap = nn.Identity() if logit_softcap is None else SoftCap(logit_softcap)

    def forward(self, token_ids: Tensor, cache: Sequence[KeyValueCache] | None = None) -> Tensor:
        return self.logits(self.hidden_states(token_ids, cache))

    def logits(self, hidden_states: Tensor) -> Tensor:
        """(..., d_model) -> (..., vocab): the head and what follows it."""
        return self.softcap(self.lm_head(hidden_states))

    def hidden_states(self, token_ids: Tensor, cache: Sequence[KeyValueCache] | None = None) -> Tensor:
        """(batch, seq) of ids -> (batch, seq, d_model): what the head reads.

        With a cache, the ids continue those of the calls before.
        Raises: UsageError when the sequence is longer than the context.
        """
        start = cache[0].num_positions if cache else 0
        stop = start + token_ids.shape[-1]
        if stop > self.context_length:
            raise UsageError(f"a sequence of {stop} tokens does not fit context_length {self.context_length}")
        positions = torch.arange(start, stop, device=token_ids.device)
        x = self.embedding_norm(self.token_embedding(token_ids))
        extra_values = [None] * (len(self.blocks) - len(self.value_embeddings))
        extra_values += [embedding(token_ids) for embedding in self.value_embeddings]
        x = self.blocks(x, positions, cache or [None] * len(self.blocks), extra_values)
        return self.final_norm(x)

    def new_cache(self) -> list[KeyValueCache]:
        """An empty cache for one batch of sequences that grow together."""
        return [KeyValueCache(self.context_length) for _ in self.blocks]
