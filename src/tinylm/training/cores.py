"""Whether the cores that PyTorch counts on are there: by affinity, by quota, and by what a product really gets."""

import os
from collections.abc import Iterator
from pathlib import Path

import torch

from tinylm.training.device import Execution

CGROUPS = Path("/sys/fs/cgroup")
ENOUGH = 0.75
"""Share of its threads' time that a process may be given before it is worth a word."""


def core_notes(execution: Execution) -> Iterator[str]:
    """What slows training on this CPU down, and what to do about it; nothing for a GPU or where all is well."""
    if execution.device.type != "cpu":
        return
    threads, cores = torch.get_num_threads(), available_cores()
    if threads > cores:
        yield (
            f"warning: PyTorch uses {threads} threads where this process may use {cores:g} cores, "
            f"and threads that wait for one another crawl; set OMP_NUM_THREADS={max(1, int(cores))}"
        )
    elif execution.measured().share_of_cores < ENOUGH:
        advice = f", or set OMP_NUM_THREADS={threads - 1}" if threads > 1 else ""
        yield (
            f"warning: {threads} threads get {execution.measured().share_of_cores:.0%} of their cores' time, "
            f"the rest goes to other programs; stop those{advice}"
        )


def available_cores() -> float:
    """Cores that this process may use at a time: those it is bound to, or what its cgroup's quota comes to."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([float(bound), *cgroup_quotas(CGROUPS)])


def cgroup_quotas(root: Path) -> Iterator[float]:
    """CPU time per time under cgroups, version 2 or 1, of the kind that containers have; none when unlimited."""
    files = [[root / "cpu.max"], [root / "cpu" / "cpu.cfs_quota_us", root / "cpu" / "cpu.cfs_period_us"]]
    for parts in files:
        if all(part.is_file() for part in parts):
            quota, period = " ".join(part.read_text() for part in parts).split()
            if quota not in {"max", "-1"}:
                yield int(quota) / int(period)
