"""What is measured along the way: the size of updates, and memory."""

import sys
from collections.abc import Sequence

import psutil
import torch


class UpdateRatio:
    """How far a step moves the weights, relative to their size: the L2 norm of the change over that of the weights.

    About 1e-3 is usual; far from it the learning rate is. Needs a copy of the weights for as long as the step lasts.
    """

    def __init__(self, parameters: Sequence[torch.Tensor]) -> None:
        self._parameters = list(parameters)
        self._before = [parameter.detach().clone() for parameter in self._parameters]

    @torch.no_grad()
    def measure(self) -> torch.Tensor:
        """The ratio since this was made, a tensor ()."""
        size = torch.stack(torch._foreach_norm(self._before)).norm()
        torch._foreach_sub_(self._before, self._parameters)
        change: torch.Tensor = torch.stack(torch._foreach_norm(self._before)).norm() / size
        return change


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory so far: allocated on a GPU, or held by the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return process_peak_bytes()


def process_peak_bytes() -> int:
    """The most memory that this process has held in RAM."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource  # only where there is one

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
