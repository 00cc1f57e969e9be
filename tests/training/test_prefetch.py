"""Prefetched batches are the batches, in whatever order the thread makes them."""

import threading

import pytest
import torch

from tinylm.training.prefetch import AHEAD, PrefetchedBatches


def test_batches_belong_to_their_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step gets its own batch, each is made once, in another thread, and no more than AHEAD too many."""
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)  # needs a GPU
    made: list[int] = []
    threads: set[int] = set()

    def make(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        made.append(step)
        threads.add(threading.get_ident())
        return torch.tensor([step]), torch.tensor([step + 1])

    batches = PrefetchedBatches(make, torch.device("cpu"))
    got = [batches(step) for step in range(5, 25)]
    assert [(inputs.item(), targets.item()) for inputs, targets in got] == [(step, step + 1) for step in range(5, 25)]
    batches.close()
    assert made == list(range(5, 25 + AHEAD))
    assert threading.get_ident() not in threads


def test_an_error_in_the_thread_is_raised_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong while making a batch reaches whoever asks for it."""

    def make(_: int) -> tuple[torch.Tensor, torch.Tensor]:
        raise OSError("token file went away")

    with pytest.raises(OSError, match="token file went away"):
        PrefetchedBatches(make, torch.device("cpu"))(1)
