"""What a run ran on and with: `environment.json`."""

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

import tinylm
from tinylm.training.device import Execution


def describe_environment(execution: Execution) -> dict[str, Any]:
    """Versions, machine and commit, and what "auto" was settled to, as JSON data."""
    return {
        "tinylm": tinylm.__version__,
        "commit": commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "processor": processor_name(),
        "cpu_cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "memory_bytes": psutil.virtual_memory().total,
        "device": device_name(execution.device),
        "precision": execution.precision,
        "compile": execution.compile,
    }


def device_name(device: torch.device) -> str:
    """The accelerator's own name, or the processor's."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name()


def processor_name() -> str:
    """The model name of the processor, as far as the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def commit() -> str | None:
    """The commit of the tinylm sources, with `+changes` when the work tree differs from it; None when installed."""
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return None
    try:
        head = _git(root, "rev-parse", "HEAD")
        return head + ("+changes" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
