"""Predicted, traced and measured memory agree."""

import gc
import random

import pytest
import torch

from tinylm.accounting.memory import training_memory
from tinylm.accounting.moments import Training
from tinylm.accounting.shape import ModelShape
from tinylm.commands.rehearsal import measured_bytes, traced_bytes
from tinylm.errors import TinylmError
from tinylm.training.gradients import Gradients

BASE = {"vocab_size": 1000, "context_length": 64, "d_model": 64, "num_layers": 2, "num_heads": 4, "d_ff": 172}
ALL_OPTIONS = {
    "num_layers": 4,
    "feed_forward": "relu2",
    "embedding_norm": True,
    "qk_norm": True,
    "value_embeddings": 2,
    "skip_connections": True,
    "logit_softcap": 30.0,
}
SLIGHT = {"vocab_size": 20, "context_length": 24, "num_heads": 2}
"""So little text that gradients grow in the backward pass as fast as activations shrink."""
CASES = {
    "the write-up's block": ({}, 8, Training()),
    "manual attention": ({"attention": "manual"}, 4, Training()),
    "post-norm, two matrices, no rope": (
        {"norm_placement": "post", "feed_forward": "silu", "position": "none"},
        8,
        Training(),
    ),
    "no norm": ({"norm": "none"}, 8, Training()),
    "tied, large vocabulary, small batch": ({"vocab_size": 5000, "tie_embeddings": True}, 1, Training()),
    "small vocabulary: the peak is in a block": ({"vocab_size": 20, "d_ff": 300}, 8, Training()),
    "small vocabulary, ReLU squared": ({"vocab_size": 20, "d_ff": 300, "feed_forward": "relu2"}, 8, Training()),
    "small vocabulary, manual": ({"vocab_size": 20, "attention": "manual", "context_length": 128}, 2, Training()),
    "small vocabulary, many heads, manual, bf16: the output matrix's copy is gone at the peak": (
        {"vocab_size": 20, "d_model": 256, "num_heads": 32, "context_length": 128, "attention": "manual"},
        2,
        Training(precision="bf16"),
    ),
    "small vocabulary, long, bf16: the peak is in attention": (
        {"vocab_size": 20, "context_length": 256},
        4,
        Training(precision="bf16"),
    ),
    "QK-norm": ({"qk_norm": True}, 8, Training()),
    "QK-norm, small vocabulary, no rope": (
        {"vocab_size": 20, "context_length": 128, "qk_norm": True, "position": "none"},
        2,
        Training(),
    ),
    "QK-norm, small vocabulary, manual": (
        {"vocab_size": 20, "context_length": 128, "qk_norm": True, "attention": "manual"},
        2,
        Training(),
    ),
    "soft-cap": ({"logit_softcap": 30.0}, 4, Training()),
    "soft-cap, bf16": ({"logit_softcap": 30.0}, 4, Training(precision="bf16")),
    "embedding norm": ({"embedding_norm": True}, 8, Training()),
    "embedding norm, bf16, small vocabulary": (
        {"embedding_norm": True, "vocab_size": 20, "d_ff": 300},
        8,
        Training(precision="bf16"),
    ),
    "value embeddings": ({"value_embeddings": 2}, 8, Training()),
    "value embeddings: the peak is the gradients'": ({"value_embeddings": 2, "vocab_size": 5000}, 1, Training()),
    "value embeddings in one of three blocks, Muon": (
        {"value_embeddings": 1, "num_layers": 3, "vocab_size": 100},
        4,
        Training(optimizer="muon"),
    ),
    "value embeddings, bf16": ({"value_embeddings": 1}, 4, Training(precision="bf16")),
    "value embeddings, tied, accumulation": (
        {"value_embeddings": 2, "tie_embeddings": True},
        4,
        Training(grad_accumulation=4),
    ),
    "skip connections": ({"skip_connections": True, "num_layers": 5}, 8, Training()),
    "skip connections, bf16, post-norm": (
        {"skip_connections": True, "num_layers": 5, "norm_placement": "post"},
        4,
        Training(precision="bf16"),
    ),
    "gradients wait for their tables: the peak is in the first block": (
        SLIGHT | {"num_layers": 6, "d_ff": 256, "feed_forward": "silu", "value_embeddings": 3},
        1,
        Training("sgd"),
    ),
    "one block with a table: the peak is in the middle": (
        {"vocab_size": 50, "d_model": 128, "num_layers": 3, "num_heads": 2, "d_ff": 256}
        | {"feed_forward": "relu2", "value_embeddings": 1},
        1,
        Training("sgd"),
    ),
    "gradients wait to be skipped back: the peak is in the middle": (
        SLIGHT | {"num_layers": 9, "d_ff": 64, "skip_connections": True},
        1,
        Training("sgd"),
    ),
    "all options": (ALL_OPTIONS, 4, Training()),
    "all options, small vocabulary": (ALL_OPTIONS | {"vocab_size": 50}, 4, Training()),
    "all options, Muon in bf16, accumulated": (ALL_OPTIONS, 4, Training("muon", "bf16", 2)),
    "accumulation": ({}, 8, Training(grad_accumulation=2)),
    "bf16": ({}, 4, Training(precision="bf16")),
    "Muon: the peak is the optimizer's": ({"vocab_size": 100}, 1, Training(optimizer="muon")),
    "Muon in bf16": ({"vocab_size": 100}, 1, Training(optimizer="muon", precision="bf16")),
    "NorMuon in bf16": ({"vocab_size": 100}, 1, Training(optimizer="normuon", precision="bf16")),
    "NorMuon": ({"vocab_size": 100}, 1, Training(optimizer="normuon")),
    "SGD": ({}, 4, Training(optimizer="sgd")),
    "wide and short: the peak is the gradients'": (
        {"vocab_size": 100, "d_model": 256, "d_ff": 700, "context_length": 8},
        1,
        Training(),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_prediction_and_trace_are_the_measured_peak(case: str) -> None:
    """Against the allocator, over a real step of the trainer: prediction and trace within 0.1 %."""
    values, batch_size, training = CASES[case]
    shape = ModelShape(**BASE | values)
    measured = measured_bytes(shape, batch_size, training)
    assert training_memory(shape, batch_size, training).total_bytes == pytest.approx(measured, rel=0.001)
    assert traced_bytes(shape, batch_size, training) == pytest.approx(measured, rel=0.001)


@pytest.mark.parametrize("seed", [*range(12), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(12, 150))])
def test_prediction_is_the_trace_of_any_model(seed: int) -> None:
    """Within 0.1 % for models of all kinds, but for what docs/accounting.md names."""
    choose = random.Random(seed)
    d_model, num_layers = choose.choice([64, 128, 256, 384]), choose.randint(3, 4)
    shape = ModelShape(
        vocab_size=choose.choice([256, 512, 2000, 10_000]),
        context_length=choose.choice([256, 600, 1024]),
        d_model=d_model,
        num_layers=num_layers,
        num_heads=choose.choice([2, 4, d_model // 16]),
        d_ff=choose.choice([d_model * 8 // 3 // 8 * 8, 4 * d_model, 2 * d_model]),
        feed_forward=choose.choice(["swiglu", "silu", "relu2"]),
        attention=choose.choice(["sdpa", "manual"]),
        position=choose.choice(["rope", "rope", "none"]),
        norm=choose.choice(["rmsnorm", "rmsnorm", "none"]),
        norm_placement=choose.choice(["pre", "post"]),
        tie_embeddings=choose.random() < 0.5,
        qk_norm=choose.random() < 0.3,
        embedding_norm=choose.random() < 0.3,
        skip_connections=choose.random() < 0.3,
        value_embeddings=choose.choice([0, 0, 2, num_layers]),
        logit_softcap=choose.choice([0.0, 0.0, 30.0]),
    )
    batch_size, parts = choose.choice([(1, 1), (2, 1), (3, 1), (4, 2)])
    training = Training(
        choose.choice(["adamw", "muon", "normuon", "sgd"]), choose.choice(["fp32", "bf16"]), grad_accumulation=parts
    )
    predicted = training_memory(shape, batch_size, training).total_bytes
    assert predicted == pytest.approx(traced_bytes(shape, batch_size, training), rel=0.001), (shape, training)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("attention", "training"),
    [
        ("sdpa", Training(device="cuda")),
        ("sdpa", Training("muon", "bf16", 2, device="cuda")),
        ("manual", Training(device="cuda")),
        ("manual", Training(precision="bf16", device="cuda")),
    ],
)
def test_prediction_is_the_peak_on_a_gpu(attention: str, training: Training) -> None:
    """It is what was asked for; torch.cuda.max_memory_allocated has up to a megabyte more of each large block."""
    from tinylm.configs.presets import MODEL_PRESETS

    gc.collect()  # what earlier tests have left
    shape = ModelShape(**MODEL_PRESETS["tinystories"], attention=attention)
    measured = measured_bytes(shape, 32, training)
    predicted = training_memory(shape, 32, training).total_bytes
    assert predicted == pytest.approx(torch.cuda.memory_stats()["requested_bytes.all.peak"], rel=0.001)
    assert predicted == pytest.approx(measured, rel=0.025)


@pytest.mark.slow
def test_a_trace_allocates_nothing_so_any_size_will_do() -> None:
    """GPT-2 medium at batch 64 would need 190 GB; the trace agrees with the prediction."""
    from tinylm.configs.presets import MODEL_PRESETS

    shape = ModelShape(**MODEL_PRESETS["gpt2-medium"])
    predicted = training_memory(shape, 64, Training()).total_bytes
    assert predicted > 100e9
    assert traced_bytes(shape, 64, Training()) == pytest.approx(predicted, rel=0.001)


def test_a_model_that_explodes_at_once_has_no_step_to_measure() -> None:
    """Thirty layers without norms: the optimizer never runs, so its state would be missing from the peak."""
    with pytest.raises(TinylmError, match="not finite"):
        measured_bytes(ModelShape(50, 8, 64, 30, 2, 200, norm="none"), 2, Training())


def test_a_step_that_had_to_be_divided_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of memory at first, the trainer goes on with halves: their peak is not that of the step asked for."""
    accumulate, calls = Gradients._accumulate, []

    def short_once(self: Gradients, *batch: torch.Tensor) -> torch.Tensor:
        calls.append(self.grad_accumulation)
        if len(calls) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return accumulate(self, *batch)

    monkeypatch.setattr(Gradients, "_accumulate", short_once)
    with pytest.raises(TinylmError, match=r"short of memory.*micro-batches of 2"):
        measured_bytes(ModelShape(**BASE), 4, Training())
