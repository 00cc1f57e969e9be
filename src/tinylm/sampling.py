"""Text generation: the model's next-token distribution, narrowed and drawn from, one token after another."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tinylm.errors import TinylmError, UsageError
from tinylm.model import TransformerLM, softmax
from tinylm.model.attention import KeyValueCache


def generate(
    model: TransformerLM,
    prompt: Sequence[int],
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int | None = None,
    stop_token: int | None = None,
    tokens: Collection[int] | None = None,
    seed: int = 0,
) -> Iterator[int]:
    """Token ids that continue the prompt, each yielded as soon as it is drawn; the same seed draws the same ids.

    Ends after `max_new_tokens` ids, or where `stop_token` is drawn, which is not yielded. The model sees the last
    `context_length` tokens of prompt and text. How a token is drawn: `next_token_distribution`, from `tokens`, or from
    all ids: a model may have rows for more of them than its tokenizer has text for.
    Raises: UsageError, at once, for arguments that make no sense; TinylmError when logits are not finite.
    """
    _check_prompt(prompt, model.vocab_size)
    _check_settings(max_new_tokens, temperature, top_p, top_k)
    drawable = torch.tensor(sorted(tokens) if tokens is not None else range(model.vocab_size))
    return _generate(model, list(prompt), drawable, max_new_tokens, temperature, top_p, top_k, stop_token, seed)


def _generate(
    model: TransformerLM,
    tokens: list[int],
    drawable: Tensor,
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    top_k: int | None,
    stop_token: int | None,
    seed: int,
) -> Iterator[int]:
    generator = torch.Generator().manual_seed(seed)
    cache = model.new_cache()
    for _ in range(max_new_tokens):
        logits = next_logits(model, tokens, cache)[drawable]
        probabilities = next_token_distribution(logits, temperature=temperature, top_p=top_p, top_k=top_k)
        token = int(drawable[torch.multinomial(probabilities, 1, generator=generator)])
        if token == stop_token:
            return
        yield token
        tokens.append(token)


@torch.inference_mode()
def next_logits(model: TransformerLM, tokens: Sequence[int], cache: Sequence[KeyValueCache]) -> Tensor:
    """(vocab) of logits for the token after `tokens`, on the CPU; the cache holds what was computed for earlier ones.

    Once there are more tokens than the context holds, the window slides and all of it is computed anew for each token:
    what the cache has of a position depends on every token before it, also on those that have left.
    """
    window, used = tokens, cache
    if len(tokens) > model.context_length:
        window, used = tokens[-model.context_length :], model.new_cache()
    new = torch.tensor([window[used[0].num_positions :]], device=model.token_embedding.weight.device)
    with _evaluating(model):
        return model.logits(model.hidden_states(new, used)[0, -1]).float().cpu()


def next_token_distribution(
    logits: Tensor, *, temperature: float = 1.0, top_p: float = 1.0, top_k: int | None = None
) -> Tensor:
    """softmax(logits / temperature), cut to the top_k likeliest tokens, then to the nucleus top_p, and rescaled.

    (vocab) -> (vocab) in float64. Temperature 0 is the limit: all on the likeliest token.
    Raises: TinylmError when the logits are not finite.
    """
    if not logits.isfinite().all():
        raise TinylmError("the model's logits are not finite: its training has diverged; sample an earlier checkpoint")
    if temperature == 0:
        return torch.zeros_like(logits, dtype=torch.float64).index_fill(0, logits.argmax(), 1.0)
    # The maximum goes first: divided by a tiny temperature it would overflow.
    probabilities = softmax((logits.double() - logits.max()) / temperature)
    if top_k is not None:
        probabilities = _keep_top_k(probabilities, top_k)
    if top_p < 1:
        probabilities = _keep_top_p(probabilities, top_p)
    return probabilities


def _keep_top_k(probabilities: Tensor, top_k: int) -> Tensor:
    kept = probabilities.topk(min(top_k, len(probabilities))).indices
    return _keep(probabilities, kept)


def _keep_top_p(probabilities: Tensor, top_p: float) -> Tensor:
    """The nucleus (arXiv 1904.09751): the smallest set of likeliest tokens whose probabilities add up to top_p."""
    descending, order = probabilities.sort(descending=True, stable=True)
    sum_before = descending.cumsum(0) - descending
    return _keep(probabilities, order[sum_before < top_p])


def _keep(probabilities: Tensor, kept: Tensor) -> Tensor:
    result = torch.zeros_like(probabilities)
    result[kept] = probabilities[kept]
    return result / result.sum()


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for the duration, so that between two tokens the caller finds the model as it was."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def _check_prompt(prompt: Sequence[int], vocab_size: int) -> None:
    if len(prompt) == 0:
        raise UsageError("the prompt is empty; give the model at least one token to continue")
    for token in prompt:
        if not 0 <= token < vocab_size:
            raise UsageError(f"token id {token} in the prompt is outside the model's vocabulary of {vocab_size}")


def _check_settings(max_new_tokens: int, temperature: float, top_p: float, top_k: int | None) -> None:
    if max_new_tokens < 0:
        raise UsageError(f"max_new_tokens is {max_new_tokens}, expected 0 or more")
    if not temperature >= 0:  # also true of NaN
        raise UsageError(f"temperature is {temperature}, expected 0 (greedy) or more")
    if not 0 < top_p <= 1:
        raise UsageError(f"top_p is {top_p}, expected more than 0 and at most 1")
    if top_k is not None and top_k < 1:
        raise UsageError(f"top_k is {top_k}, expected 1 or more")
