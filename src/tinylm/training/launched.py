"""A step that was handed to the device, whose figures arrive later."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Launched:
    """What is known of a step before its figures, and the figures on their way to the host."""

    step: int
    lr: float
    fraction: float
    """Share of the run that lies behind when the step ends."""
    data_seconds: float
    """How long the step waited for its batch."""
    _figures: torch.Tensor
    _arrived: torch.cuda.Event | None

    @classmethod
    def now(cls, step: int, lr: float, fraction: float, data_seconds: float, figures: torch.Tensor) -> "Launched":
        """Send `figures` (a vector on the device) on their way; on CUDA without waiting for the step to be computed."""
        arrived = torch.cuda.Event() if figures.is_cuda else None  # type: ignore[no-untyped-call]
        on_host = figures.to("cpu", non_blocking=figures.is_cuda)  # without an event to wait for, at once
        if arrived is not None:
            arrived.record(torch.cuda.current_stream(figures.device))
        return cls(step, lr, fraction, data_seconds, on_host, arrived)

    def wait(self) -> list[float]:
        """The figures, once the device has computed them."""
        if self._arrived is not None:
            self._arrived.synchronize()
        values: list[float] = self._figures.tolist()
        return values
