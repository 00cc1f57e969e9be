"""From FLOPs to time and money, and what a budget buys."""

import math
from dataclasses import dataclass

from tinylm.accounting.flops import training_flops
from tinylm.accounting.parameters import count_parameters
from tinylm.accounting.shape import ModelShape

CHINCHILLA_TOKENS_PER_PARAMETER = 20
"""About where a compute budget is best spent (Hoffmann et al., arXiv 2203.15556)."""


@dataclass(frozen=True)
class Machine:
    """What training runs on: a device's peak and the share of it that the model's FLOPs get (MFU)."""

    device: str
    precision: str
    peak_flops_per_second: float
    mfu: float
    source: str
    dollars_per_hour: float | None = None

    @property
    def flops_per_second(self) -> float:
        """What remains of the peak."""
        return self.peak_flops_per_second * self.mfu


@dataclass(frozen=True)
class RunCost:
    """What a run of `steps` takes; None where no machine, or no price, is known."""

    steps: int
    tokens: int
    tokens_per_parameter: float
    flops: int
    seconds: float | None
    device_hours: float | None
    dollars: float | None


def run_cost(shape: ModelShape, batch_size: int, steps: int, machine: Machine | None = None) -> RunCost:
    """Cost of `steps` steps of `batch_size` sequences each, on one device."""
    tokens = steps * batch_size * shape.context_length
    flops = steps * training_flops(shape, batch_size)
    seconds = flops / machine.flops_per_second if machine else None
    price = machine.dollars_per_hour if machine else None
    return RunCost(
        steps=steps,
        tokens=tokens,
        tokens_per_parameter=tokens / count_parameters(shape).total,
        flops=flops,
        seconds=seconds,
        device_hours=seconds / 3600 if seconds is not None else None,
        dollars=seconds / 3600 * price if seconds is not None and price is not None else None,
    )


def steps_within(shape: ModelShape, batch_size: int, device_hours: float, machine: Machine) -> int:
    """Whole steps that fit a budget."""
    return int(device_hours * 3600 * machine.flops_per_second // training_flops(shape, batch_size))


def chinchilla_steps(shape: ModelShape, batch_size: int) -> int:
    """Steps to the compute-optimal number of tokens for a model of this size."""
    tokens = CHINCHILLA_TOKENS_PER_PARAMETER * count_parameters(shape).total
    return math.ceil(tokens / (batch_size * shape.context_length))
