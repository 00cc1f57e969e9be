"""Batches made in a thread while a GPU computes."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from tinylm.data.batches import Batch

AHEAD = 2


class PrefetchedBatches:
    """Batches by step on a device, of which the coming ones are prepared in page-locked memory.

    `make(step)` must be a function of the step alone and give tensors on the CPU.
    """

    def __init__(self, make: Callable[[int], Batch], device: torch.device) -> None:
        self._make = make
        self._device = device
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches")
        self._coming: dict[int, Future[Batch]] = {}

    def __call__(self, step: int) -> Batch:
        """The batch of `step`, to be copied as soon as the device gets to it."""
        for coming in range(step, step + AHEAD + 1):
            if coming not in self._coming:
                self._coming[coming] = self._thread.submit(self._pinned, coming)
        inputs, targets = self._coming.pop(step).result()
        return inputs.to(self._device, non_blocking=True), targets.to(self._device, non_blocking=True)

    def close(self) -> None:
        """Wait until the thread is done with the batches that it was asked for."""
        self._thread.shutdown()

    def _pinned(self, step: int) -> Batch:
        inputs, targets = self._make(step)
        return inputs.pin_memory(), targets.pin_memory()
