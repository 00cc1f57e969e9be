"""What follows from the peak; the peak itself is compared with real steps in tests/commands/test_rehearsal.py."""

import pytest
import torch

from tinylm.accounting.memory import (
    buffers_bytes,
    kv_cache_bytes,
    largest_batch,
    training_memory,
    writeup_memory,
)
from tinylm.accounting.moments import Training
from tinylm.accounting.shape import ModelShape
from tinylm.configs.model import ModelConfig
from tinylm.configs.presets import MODEL_PRESETS
from tinylm.model import build_model

TWO_MATRICES = ModelShape(**MODEL_PRESETS["gpt2-xl"], feed_forward="silu")
TINY = ModelShape(vocab_size=50, context_length=8, d_model=16, num_layers=2, num_heads=2, d_ff=24)


def test_the_write_up_s_memory_section() -> None:
    """26.2 GB fixed, 10.5 GB a sample, batch 5 on 80 GB, for its two-matrix GPT-2 XL."""
    memory = writeup_memory(TWO_MATRICES, 1, Training())
    assert f"{memory.fixed_bytes / 1e9:.1f}" == "26.2"
    assert f"{memory.activation_bytes_per_sample / 1e9:.1f}" == "10.5"
    assert largest_batch(TWO_MATRICES, 80e9, Training(), writeup_memory) == 5


@pytest.mark.parametrize("training", [Training(), Training("muon", "bf16", 4), Training("sgd", checkpointing=True)])
@pytest.mark.parametrize("memory_bytes", [1e6, 2e6, 1e8])
def test_the_largest_batch_fits_and_a_larger_one_does_not(training: Training, memory_bytes: float) -> None:
    """In units of a micro-batch."""
    batch = largest_batch(TINY, memory_bytes, training)

    def total(size: int) -> int:
        return training_memory(TINY, size * training.grad_accumulation, training).total_bytes

    assert batch > 0
    assert total(batch) <= memory_bytes < total(batch + 1)


def test_nothing_fits_where_not_even_one_sequence_does() -> None:
    """0, not an error: the caller says what to do."""
    assert largest_batch(TWO_MATRICES, 10e9, Training()) == 0


def test_each_further_sequence_adds_the_activations_of_one() -> None:
    """Once the loss is the peak."""
    shape = ModelShape(**MODEL_PRESETS["tinystories"])
    memory, larger = (training_memory(shape, size, Training()) for size in (64, 65))
    assert memory.peak_during == "the loss"
    assert larger.total_bytes - memory.total_bytes == memory.activation_bytes_per_sample


def test_accumulation_and_checkpointing_need_less_for_large_batches() -> None:
    """What `tinylm memory` suggests does help."""
    shape = ModelShape(**MODEL_PRESETS["tinystories"])
    plain = training_memory(shape, 64, Training()).total_bytes
    assert training_memory(shape, 64, Training(grad_accumulation=8)).total_bytes < plain / 3
    assert training_memory(shape, 64, Training(checkpointing=True)).total_bytes < plain / 2


def test_buffers_and_cache_are_those_of_the_built_model() -> None:
    """RoPE's tables, and what sampling keeps of a full context."""
    config = ModelConfig(vocab_size=50, context_length=8, d_model=16, num_layers=2, num_heads=2, d_ff=24)
    model = build_model(config, seed=0)
    assert buffers_bytes(TINY) == sum(buffer.nbytes for buffer in model.buffers())
    cache = model.new_cache()
    model(torch.zeros(1, 3, dtype=torch.long), cache)
    held = [tensor for layer in cache for tensor in vars(layer).values() if isinstance(tensor, torch.Tensor)]
    assert kv_cache_bytes(TINY) == sum(tensor.untyped_storage().nbytes() for tensor in held)
