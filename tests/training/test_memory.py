"""A run that cannot fit is refused before it starts, with the numbers and with what would fit."""

from typing import Any

import pytest
import torch

from tinylm.accounting.memory import training_memory
from tinylm.accounting.moments import Training
from tinylm.accounting.shape import ModelShape
from tinylm.configs.loader import parse
from tinylm.configs.run import RunConfig
from tinylm.errors import TinylmError
from tinylm.training import memory
from tinylm.training.device import Execution
from tinylm.training.memory import free_bytes, needed_bytes, require_memory

CPU = Execution(torch.device("cpu"), None, compile=False, notes=())
GPU = Execution(torch.device("cuda"), None, compile=False, notes=())


def config(**train: Any) -> RunConfig:
    """The write-up's TinyStories model, in batches of 64."""
    data = {"train": "", "valid": "", "tokenizer": ""}
    return parse(RunConfig, {"data": data, "train": {"batch_size": 64} | train}, source="test")


def with_free(monkeypatch: pytest.MonkeyPatch, num_bytes: float) -> None:
    """A device with so much memory left."""
    monkeypatch.setattr(memory, "free_bytes", lambda _: num_bytes)


def test_need_is_the_accounts() -> None:
    """The prediction is that of `tinylm memory`, and averaged weights come on top."""
    shape = ModelShape.of(config().model)
    expected = training_memory(shape, 64, Training("adamw", "fp32", 4))
    assert needed_bytes(config(), CPU, 4) == expected.total_bytes
    averaged = needed_bytes(config(ema_decay=0.999), CPU, 4)
    assert averaged == expected.total_bytes + expected.parameters_bytes


def test_what_fits_is_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """As much as is needed is enough."""
    with_free(monkeypatch, needed_bytes(config(), CPU, 1))
    require_memory(config(), CPU)


def test_smaller_micro_batches_are_advised(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU a run short of memory is refused with both numbers and the fewest micro-batches that would fit."""
    with_free(monkeypatch, needed_bytes(config(), CPU, 8))
    with pytest.raises(TinylmError) as error:
        require_memory(config(grad_accumulation=2), CPU)
    need, free = (f"{needed_bytes(config(), CPU, parts) / 1e9:.2f} GB" for parts in (2, 8))
    assert f"training needs {need} of memory, {free} is free on cpu" in str(error.value)
    assert f"--set train.grad_accumulation=8 computes the same in {free}" in str(error.value)


def test_gpu_finds_micro_batches_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where running out of memory is an error that can be caught, the run starts."""
    with_free(monkeypatch, needed_bytes(config(), GPU, 64))
    require_memory(config(), GPU)


@pytest.mark.parametrize("execution", [CPU, GPU])
def test_not_even_one_sequence(execution: Execution, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model too large for one sequence at a time is refused everywhere."""
    with_free(monkeypatch, needed_bytes(config(), execution, 64) - 1)
    with pytest.raises(TinylmError, match="a smaller model or a shorter context"):
        require_memory(config(), execution)


def test_free_memory_respects_a_containers_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """A limit of 1 GB for the process leaves less than that, whatever the machine has; `max` limits nothing."""
    limit = tmp_path / "memory.max"
    limit.write_text("1000000000\n")
    monkeypatch.setattr(memory, "CGROUP_LIMITS", (limit, tmp_path / "none"))
    assert free_bytes(torch.device("cpu")) < 1_000_000_000
    limit.write_text("max\n")
    assert free_bytes(torch.device("cpu")) > 0
