"""The machine that times are reckoned for: by name from the table of devices, or this one, measured."""

from tinylm.accounting.hardware import DEVICES, find_device, measure_matmul_flops
from tinylm.accounting.run_cost import Machine
from tinylm.commands.options import PrecisionName
from tinylm.errors import UsageError


def named_machine(name: str, precision: PrecisionName, mfu: float, dollars_per_hour: float | None) -> Machine:
    """Raises: UsageError when the device, or the precision on it, is unknown."""
    device = find_device(name)
    if device is None:
        known = ", ".join(device.name for device in DEVICES)
        raise UsageError(f"no figures for a device {name!r}; there are {known}; --measure times this machine")
    if precision == "auto":
        precision = "bf16" if device.bf16 else "fp32"
    peak = device.peak_flops(precision)
    if peak is None:
        raise UsageError(f"{device.name} has no {precision} matrix products; try --precision fp32")
    return Machine(device.name, precision, peak, mfu, device.source, dollars_per_hour)


def this_machine(precision: PrecisionName, mfu: float, dollars_per_hour: float | None) -> Machine:
    """This machine's fastest device, timed on a matrix product."""
    import torch

    from tinylm.training.device import choose_device, has_native_bf16

    if precision == "tf32":
        raise UsageError("--measure times fp32 or bf16 products, not tf32")
    device = choose_device("auto")
    if precision == "auto":
        precision = "bf16" if has_native_bf16(device) else "fp32"
    peak = measure_matmul_flops(device, torch.bfloat16 if precision == "bf16" else torch.float32)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"this machine's {device.type}"
    return Machine(name, precision, peak, mfu, "measured on a square matrix product", dollars_per_hour)
