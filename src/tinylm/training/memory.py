"""Whether a run fits into memory, told before it starts."""

from pathlib import Path

import psutil
import torch

from tinylm.accounting.activations import DeviceType
from tinylm.accounting.memory import training_memory
from tinylm.accounting.moments import Training
from tinylm.accounting.shape import ModelShape
from tinylm.configs.run import RunConfig
from tinylm.errors import TinylmError
from tinylm.training.device import Execution

CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Version 2 and 1, where a container has its own."""


def require_memory(config: RunConfig, execution: Execution) -> None:
    """Raises: TinylmError with the numbers when the run cannot fit, and a setting with which it would.

    On a GPU, whose shortage of memory is an error and not the end of the process, smaller micro-batches are found while
    training: there a run is refused only when not even one sequence at a time fits.
    """
    train, free = config.train, free_bytes(execution.device)
    sizes = [parts for parts in range(train.grad_accumulation, train.batch_size + 1) if train.batch_size % parts == 0]
    fitting = next((parts for parts in sizes if needed_bytes(config, execution, parts) <= free), None)
    if fitting == train.grad_accumulation or (fitting and execution.device.type == "cuda"):
        return
    need = needed_bytes(config, execution, train.grad_accumulation)
    advice = (
        f"a new run with --set train.grad_accumulation={fitting} computes the same in "
        f"{_gb(needed_bytes(config, execution, fitting))}"
        if fitting
        else "a smaller model or a shorter context needs less, `tinylm memory` says how much"
    )
    raise TinylmError(f"training needs {_gb(need)} of memory, {_gb(free)} is free on {execution.device}: {advice}")


def needed_bytes(config: RunConfig, execution: Execution, grad_accumulation: int) -> int:
    """The predicted peak of a step, and the averaged weights if such are kept."""
    device: DeviceType = "cuda" if execution.device.type == "cuda" else "cpu"
    training = Training(config.optim.kind, execution.precision, grad_accumulation, device=device)
    memory = training_memory(ModelShape.of(config.model), config.train.batch_size, training)
    return memory.total_bytes + (memory.parameters_bytes if config.train.ema_decay else 0)


def free_bytes(device: torch.device) -> int:
    """What a new run could have."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    held: int = psutil.Process().memory_info().rss
    limits = [int(file.read_text()) - held for file in CGROUP_LIMITS if file.is_file() and file.read_text() != "max\n"]
    available: int = psutil.virtual_memory().available
    return min([available, *limits])


def _gb(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.2f} GB"
