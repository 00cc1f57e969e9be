"""Batches are a pure function of (seed, step), and validation windows cover the text."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tinylm.data.batches import sample_batch, validation_batches
from tinylm.errors import TinylmError

TOKENS = np.arange(1000, dtype=np.uint16)


def test_targets_are_inputs_one_token_later() -> None:
    """Each target is the token that follows its input."""
    inputs, targets = sample_batch(TOKENS, 8, 32, seed=1, step=1)
    assert inputs.shape == targets.shape == (8, 32)
    assert inputs.dtype == targets.dtype == torch.int64
    assert torch.equal(targets, inputs + 1)


def test_batch_depends_on_seed_and_step_only() -> None:
    """The same (seed, step) gives the same batch; another seed or step gives another."""
    one = sample_batch(TOKENS, 4, 16, seed=5, step=7)[0]
    assert torch.equal(one, sample_batch(TOKENS, 4, 16, seed=5, step=7)[0])
    assert not torch.equal(one, sample_batch(TOKENS, 4, 16, seed=5, step=8)[0])
    assert not torch.equal(one, sample_batch(TOKENS, 4, 16, seed=6, step=7)[0])


def test_batch_is_the_same_in_every_release() -> None:
    """Golden starts from Philox's raw stream: key (3, 4), modulo the number of windows."""
    raw = np.random.Philox(key=[3, 4]).random_raw(2)
    assert [int(value) for value in raw] == [18178702476816414400, 13750660252389515994]
    starts = sample_batch(TOKENS, 2, 16, seed=3, step=4)[0][:, 0].tolist()
    assert starts == [18178702476816414400 % 984, 13750660252389515994 % 984]


def test_every_window_can_be_drawn() -> None:
    """First and last possible start both occur: 20 tokens have exactly 4 windows of 16 inputs and their targets."""
    starts = {int(s) for step in range(50) for s in sample_batch(TOKENS[:20], 4, 16, seed=0, step=step)[0][:, 0]}
    assert starts == {0, 1, 2, 3}


def test_too_few_tokens_is_said_with_the_numbers() -> None:
    """A text shorter than one window is an error that names both numbers."""
    with pytest.raises(TinylmError, match="16 tokens are too few for a window of context_length 16"):
        sample_batch(TOKENS[:16], 1, 16, seed=0, step=0)


@given(st.integers(2, 300), st.integers(1, 40), st.integers(1, 9))
def test_full_validation_predicts_each_token_once(num_tokens: int, context_length: int, batch_size: int) -> None:
    """Over a full pass every token but the first is a target exactly once, in order."""
    batches = validation_batches(TOKENS[:num_tokens], batch_size, context_length, num_batches=0)
    targets = [int(t) for _, batch in batches for t in batch.flatten()]
    assert targets == list(range(1, num_tokens))


@given(st.integers(1, 9), st.integers(1, 9))
def test_partial_validation_spreads_windows(batch_size: int, num_batches: int) -> None:
    """A limited evaluation takes distinct windows, at most as many as asked, the first one included."""
    batches = list(validation_batches(TOKENS, batch_size, 10, num_batches=num_batches))
    starts = [int(start) for inputs, _ in batches for start in inputs[:, 0]]
    assert starts[0] == 0
    assert len(set(starts)) == len(starts) == min(99, batch_size * num_batches)
    gaps = np.diff(starts)
    assert gaps.size == 0 or gaps.max() - gaps.min() <= 10
