"""Sampling against exact distributions, and generation against the model run without a cache."""

import math
from collections import Counter
from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tinylm.configs.model import ModelConfig
from tinylm.errors import TinylmError, UsageError
from tinylm.model import TransformerLM, build_model
from tinylm.sampling import generate, next_logits, next_token_distribution

VOCAB, CONTEXT = 20, 8


@pytest.fixture(scope="module")
def model() -> TransformerLM:
    return build_model(
        ModelConfig(vocab_size=VOCAB, context_length=CONTEXT, d_model=32, num_layers=2, num_heads=2, d_ff=48), seed=0
    )


def logits_of(probabilities: list[float]) -> Tensor:
    return torch.tensor(probabilities, dtype=torch.float64).log()


FOUR = [0.4, 0.1, 0.3, 0.2]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, FOUR),
        ({"temperature": 0.5}, [16 / 30, 1 / 30, 9 / 30, 4 / 30]),
        ({"temperature": 0.0}, [1, 0, 0, 0]),
        ({"temperature": 5e-324}, [1, 0, 0, 0]),
        ({"temperature": math.inf}, [0.25] * 4),
        ({"top_k": 1}, [1, 0, 0, 0]),
        ({"top_k": 2}, [4 / 7, 0, 3 / 7, 0]),
        ({"top_k": 99}, FOUR),
        ({"top_p": 0.01}, [1, 0, 0, 0]),
        ({"top_p": 0.69}, [4 / 7, 0, 3 / 7, 0]),
        ({"top_p": 0.71}, [4 / 9, 0, 3 / 9, 2 / 9]),
        ({"top_k": 3, "top_p": 0.75}, [4 / 7, 0, 3 / 7, 0]),
        ({"temperature": 0.5, "top_p": 0.8}, [16 / 25, 0, 9 / 25, 0]),
    ],
    ids=str,
)
def test_distribution(settings: dict[str, float], expected: list[float]) -> None:
    """Temperature, then top-k, then top-p of what top-k left, each followed by rescaling."""
    result = next_token_distribution(logits_of(FOUR), **settings)  # type: ignore[arg-type]
    torch.testing.assert_close(result, torch.tensor(expected, dtype=torch.float64))


@given(logits=st.lists(st.floats(-20, 20), min_size=1, max_size=30), top_p=st.floats(0.001, 1))
def test_the_nucleus_is_the_smallest_set_that_reaches_top_p(logits: list[float], top_p: float) -> None:
    """What top-p keeps reaches top_p, would not without its least likely token, and is likelier than all it drops."""
    full = next_token_distribution(torch.tensor(logits, dtype=torch.float64))
    kept = next_token_distribution(torch.tensor(logits, dtype=torch.float64), top_p=top_p) > 0
    total, least = full[kept].sum(), full[kept].min()
    assert total >= top_p - 1e-9
    assert total - least < top_p + 1e-9
    assert (full[~kept] <= least).all()


def test_full_nucleus_keeps_every_token() -> None:
    """top_p = 1 drops nothing, however small its probability."""
    assert (next_token_distribution(torch.tensor([0.0, -100.0, -600.0]), top_p=1.0) > 0).all()


def test_logits_that_are_not_finite_are_reported() -> None:
    """A diverged model is named as such, for greedy decoding too."""
    for temperature in (0.0, 1.0):
        with pytest.raises(TinylmError, match="not finite"):
            next_token_distribution(torch.tensor([0.0, math.nan]), temperature=temperature)


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.7, "top_p": 0.8}, {"top_k": 5}], ids=str)
def test_first_tokens_follow_the_distribution(model: TransformerLM, settings: dict[str, float]) -> None:
    """Over many seeds the frequencies pass a chi-square test against the exact distribution."""
    draws = 1000
    with torch.no_grad():
        exact = next_token_distribution(model(torch.tensor([[1, 2, 3]]))[0, -1], **settings)  # type: ignore[arg-type]
    counts = Counter(
        next(generate(model, [1, 2, 3], max_new_tokens=1, seed=seed, **settings))  # type: ignore[arg-type]
        for seed in range(draws)
    )
    possible = [token for token in range(VOCAB) if exact[token] > 0]
    assert set(counts) <= set(possible)
    expected = [draws * exact[token].item() for token in possible]
    chi_square = sum((counts[token] - mean) ** 2 / mean for token, mean in zip(possible, expected, strict=True))
    freedom = len(possible) - 1
    assert chi_square < freedom + 5 * math.sqrt(2 * freedom)


def test_greedy_is_argmax_of_the_model_without_a_cache(model: TransformerLM) -> None:
    """At temperature 0, far beyond the context too, each id is the argmax over the last context_length tokens."""
    tokens = [3, 1, 4]
    for generated in generate(model, tokens, max_new_tokens=4 * CONTEXT, temperature=0.0):
        with torch.no_grad():
            assert generated == model(torch.tensor([tokens[-CONTEXT:]]))[0, -1].argmax()
        tokens = [*tokens, generated]
    assert len(tokens) == 3 + 4 * CONTEXT
    assert len(set(tokens)) > 3


@pytest.mark.parametrize("logit_softcap", [0.0, 0.5])
def test_next_logits_are_the_model_s(logit_softcap: float) -> None:
    """What is drawn from is what the model says of the last position, soft-capped where it caps."""
    sizes = {"vocab_size": VOCAB, "context_length": CONTEXT, "d_model": 32, "num_layers": 2, "num_heads": 2, "d_ff": 48}
    model = build_model(ModelConfig(**sizes, logit_softcap=logit_softcap), seed=0)
    with torch.no_grad():
        expected = model(torch.tensor([[1, 2, 3]]))[0, -1]
    torch.testing.assert_close(next_logits(model, [1, 2, 3], model.new_cache()), expected)
    assert bool(expected.abs().max() > 0.5) is (logit_softcap == 0)


def test_a_prompt_longer_than_the_context_is_seen_through_the_window(model: TransformerLM) -> None:
    """Only the last context_length tokens of a long prompt count."""
    tail = list(range(CONTEXT))
    long, short = (list(generate(model, prompt, max_new_tokens=6, seed=3)) for prompt in ([9] * 5 + tail, tail))
    assert long == short


def test_the_seed_decides(model: TransformerLM) -> None:
    """The same seed gives the same ids, other seeds others; PyTorch's global generator is left alone."""
    state = torch.get_rng_state()
    first, again, other = (tuple(generate(model, [1], max_new_tokens=20, seed=seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("temperature", [0.0, 1.0, math.inf])
def test_only_tokens_that_have_text_are_drawn(model: TransformerLM, temperature: float) -> None:
    """Of a vocabulary with rows to spare only the given ids appear, whichever the likeliest are; all of them can."""
    tokens = {3, 7, 11}
    drawn = list(generate(model, [1], max_new_tokens=60, temperature=temperature, tokens=tokens))
    assert len(drawn) == 60
    assert set(drawn) <= tokens
    assert set(drawn) == tokens or temperature == 0
    settings = {"max_new_tokens": 20, "temperature": temperature, "seed": 1}
    assert list(generate(model, [1], **settings)) == list(generate(model, [1], tokens=range(VOCAB), **settings))  # type: ignore[arg-type]


def test_the_stop_token_ends_generation_and_is_not_yielded(model: TransformerLM) -> None:
    """Generation with a stop token is the one without, up to where that token is drawn."""
    free = list(generate(model, [1], max_new_tokens=20, seed=1))
    stop = free[7]
    assert list(generate(model, [1], max_new_tokens=20, seed=1, stop_token=stop)) == free[: free.index(stop)]


def test_tokens_come_as_they_are_made(model: TransformerLM) -> None:
    """An endless generation can be read token by token, beside another one of the same model."""
    expected = [list(generate(model, [token], max_new_tokens=5)) for token in (1, 2)]
    streams = [generate(model, [token], max_new_tokens=10**12) for token in (1, 2)]
    interleaved = list(zip(*(islice(stream, 5) for stream in streams), strict=True))
    assert [list(ids) for ids in zip(*interleaved, strict=True)] == expected


def test_the_model_runs_in_evaluation_mode(model: TransformerLM) -> None:
    """Whatever mode the caller's model is in, tokens are made in evaluation mode."""
    model.train()
    modes: list[bool] = []
    handle = model.blocks[0].register_forward_pre_hook(lambda block, _: modes.append(block.training))
    list(generate(model, [1], max_new_tokens=2))
    handle.remove()
    assert modes == [False, False]


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(model: TransformerLM, training: bool) -> None:
    """Between tokens, after an early end and after an error, mode and gradient tracking are the caller's."""
    model.train(training)
    stream = generate(model, [1], max_new_tokens=5)
    next(stream)
    assert model.training is training
    assert torch.is_grad_enabled()
    assert model(torch.tensor([[1]])).requires_grad
    stream.close()  # type: ignore[attr-defined]
    assert model.training is training


def test_the_prompt_is_not_changed(model: TransformerLM) -> None:
    """The caller's list stays the caller's."""
    prompt = [1, 2]
    list(generate(model, prompt, max_new_tokens=3))
    assert prompt == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompt": []}, "prompt is empty"),
        ({"prompt": [1, VOCAB]}, "token id 20 in the prompt is outside the model's vocabulary of 20"),
        ({"prompt": [-1]}, "token id -1"),
        ({"max_new_tokens": -1}, "max_new_tokens is -1"),
        ({"temperature": -0.1}, "temperature is -0.1"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"top_p": 0.0}, "top_p is 0.0"),
        ({"top_p": 1.1}, "top_p is 1.1"),
        ({"top_k": 0}, "top_k is 0"),
    ],
    ids=str,
)
def test_senseless_arguments_are_refused_at_once(
    model: TransformerLM, arguments: dict[str, object], message: str
) -> None:
    """Each is an error that names the value, before the first token is asked for."""
    with pytest.raises(UsageError, match=message):
        generate(model, **{"prompt": [1], "max_new_tokens": 1, **arguments})  # type: ignore[arg-type]
