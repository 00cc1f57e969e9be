"""Peak rates and memory of devices, as their makers state them, without structured sparsity.

MFU is relative to these, so they are the dense figures: a datasheet's "with sparsity" halved. GeForce figures are those
of tensor cores that accumulate in fp32, as PyTorch's do. An unknown device is `None`, never a guess: measure it.
"""

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "tf32", "bf16"]
TERA, GIGA = 10**12, 10**9


@dataclass(frozen=True)
class Device:
    """A device's peak rates in TFLOP/s and its nominal memory in GB (10^9 bytes)."""

    name: str
    memory_gb: int
    fp32: float
    tf32: float | None
    bf16: float | None
    source: str

    @property
    def memory_bytes(self) -> int:
        """Nominal memory; what a program can have is some percent less."""
        return self.memory_gb * GIGA

    def peak_flops(self, precision: Precision) -> float | None:
        """FLOP/s of matrix products in a precision; None where the hardware lacks it."""
        rate = {"fp32": self.fp32, "tf32": self.tf32, "bf16": self.bf16}[precision]
        return None if rate is None else rate * TERA


DEVICES = (
    Device("v100", 16, 15.7, None, None, "NVIDIA V100 datasheet, SXM2"),
    Device("v100 32gb", 32, 15.7, None, None, "NVIDIA V100 datasheet, SXM2"),
    Device("v100 pcie", 16, 14.0, None, None, "NVIDIA V100 datasheet, PCIe"),
    Device("v100 pcie 32gb", 32, 14.0, None, None, "NVIDIA V100 datasheet, PCIe"),
    Device("t4", 16, 8.1, None, None, "NVIDIA T4 datasheet"),
    Device("a10", 24, 31.2, 62.5, 125.0, "NVIDIA A10 datasheet"),
    Device("a100", 80, 19.5, 156.0, 312.0, "NVIDIA A100 datasheet, 80 GB"),
    Device("a100 40gb", 40, 19.5, 156.0, 312.0, "NVIDIA A100 datasheet, 40 GB"),
    Device("l4", 24, 30.3, 60.0, 121.0, "NVIDIA L4 datasheet"),
    Device("l40s", 48, 91.6, 183.0, 362.05, "NVIDIA L40S datasheet"),
    Device("h100", 80, 67.0, 494.7, 989.4, "NVIDIA H100 architecture paper, SXM5"),
    Device("h100 pcie", 80, 51.0, 378.0, 756.0, "NVIDIA H100 datasheet, PCIe"),
    Device("h200", 141, 67.0, 494.7, 989.4, "NVIDIA H200 datasheet, SXM"),
    Device("gh200", 96, 67.0, 494.7, 989.4, "NVIDIA GH200 datasheet, 96 GB"),
    Device("b200", 180, 75.0, 1100.0, 2250.0, "NVIDIA HGX B200 datasheet, one of eight"),
    Device("rtx 3090", 24, 35.6, 35.6, 71.2, "NVIDIA GA102 architecture paper"),
    Device("rtx 4090", 24, 82.6, 82.6, 165.2, "NVIDIA Ada architecture paper"),
    Device("rtx 5090", 32, 104.8, 104.8, 209.5, "NVIDIA RTX Blackwell architecture paper"),
)  # fmt: skip

OTHER_PRODUCTS = {"laptop", "mobile", "max", "ti", "super", "d", "nvl", "mig"}
"""Words that make a name another device than the one it contains."""


def find_device(name: str) -> Device | None:
    """The device meant by a short name or by what the driver reports (`NVIDIA H100 80GB HBM3`), or None."""
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    if words & OTHER_PRODUCTS:
        return None
    matches = [device for device in DEVICES if set(device.name.split()) <= words]
    return max(matches, key=lambda device: len(device.name), default=None)


def peak_flops(name: str, precision: Precision) -> float | None:
    """FLOP/s of a device by name; None when the device, or this precision of it, is unknown."""
    device = find_device(name)
    return device.peak_flops(precision) if device else None


def device_memory_bytes(device: "torch.device") -> int:
    """All memory of a device of this machine: a GPU's own, or the RAM."""
    import psutil
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return int(psutil.virtual_memory().total)


def measure_matmul_flops(
    device: "str | torch.device", dtype: "torch.dtype", size: int | None = None, seconds: float = 1.0
) -> float:
    """FLOP/s of square matrix products on this machine: the best of the repetitions that fit in `seconds`."""
    import torch

    device = torch.device(device)
    size = size or (1024 if device.type == "cpu" else 8192)
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    out = a @ b
    fastest, deadline = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        _synchronize(device)
        start = time.perf_counter()
        torch.mm(a, b, out=out)
        _synchronize(device)
        fastest = min(fastest, time.perf_counter() - start)
    return 2 * size**3 / fastest


def _synchronize(device: "torch.device") -> None:
    import torch

    if device.type != "cpu":
        torch.accelerator.synchronize(device)
