"""Where and how a run computes: device, precision, compilation; each choice with its reason."""

import contextlib
import functools
import math
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast

import torch

from tinylm.accounting import hardware
from tinylm.configs.run import TrainConfig
from tinylm.errors import UsageError
from tinylm.training.allocator import keep_freed_memory

COMPILE_PAYS_AFTER_STEPS = 200
COMPILE_PAYS_AFTER_SECONDS = 300
PEAK_MEASURING_SECONDS = 0.3
COMPILERS_ADVICE = ("TensorFloat32 tensor cores", r"\s*Online softmax is disabled")
"""Warnings that nobody can follow: to round what was chosen to be exact, and to report how a reduction was split."""
H100_PEAK_FLOPS = cast(float, hardware.peak_flops("h100", "bf16"))


@dataclass(frozen=True, slots=True)
class Execution:
    """How the matrix products of a run are computed."""

    device: torch.device
    autocast_dtype: torch.dtype | None
    """None: everything in the parameters' own float32."""
    compile: bool
    notes: tuple[str, ...]
    """One line per choice: what and why."""
    deterministic: bool = True
    """Whether `repeatable` does anything; a CPU's kernels repeat by themselves."""

    @property
    def precision(self) -> Literal["fp32", "bf16"]:
        """`fp32` or `bf16`."""
        return "bf16" if self.autocast_dtype is torch.bfloat16 else "fp32"

    @property
    def dtype(self) -> torch.dtype:
        """What matrix products are computed in."""
        return self.autocast_dtype or torch.float32

    @property
    def lag(self) -> int:
        """How many steps the host may be ahead of the device: a GPU computes while the next step is prepared."""
        return 1 if self.device.type == "cuda" else 0

    def prepare(self) -> None:
        """Set PyTorch up: fp32 products are exact where fp32 was chosen; beside bf16 they may round as TF32 does.

        On a CPU, memory freed by one step is kept for the next.
        """
        if self.device.type == "cpu":
            keep_freed_memory()
        if self.device.type == "cuda":
            torch.set_float32_matmul_precision("high" if self.precision == "bf16" else "highest")
            for advice in COMPILERS_ADVICE:
                warnings.filterwarnings("ignore", advice)
            torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined] # takes time

    def measured(self) -> "Measurement":
        """What this machine gives; takes a moment, once in a process."""
        return measure(self.device, self.dtype)

    def peak_flops(self) -> float:
        """FLOP/s that MFU is relative to: the maker's dense figure, or measured on the spot where there is none."""
        return listed_peak(self.device, self.precision) or self.measured().peak_flops

    def in_h100s(self) -> float:
        """How many H100s this device is: its peak bf16 rate, or where none is listed the measured peak, over theirs."""
        return (listed_peak(self.device, "bf16") or self.measured().peak_flops) / H100_PEAK_FLOPS

    def budget_seconds(self, train: TrainConfig) -> float | None:
        """What a run's time budget comes to on this device; None for a run in steps."""
        hours = train.budget_h100_hours
        return train.budget_seconds if hours is None else hours * 3600 / self.in_h100s()

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """Run matrix products in the chosen precision; parameters and optimizer state stay float32."""
        if self.autocast_dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast_dtype)

    @contextlib.contextmanager
    def repeatable(self) -> Iterator[None]:
        """A training step in here gives the same bits every time: on a GPU no kernel adds in the order of arrival.

        Without, what adds up the embedding's gradient and attention's would, some 4 % faster.
        """
        before = torch.are_deterministic_algorithms_enabled()
        torch.use_deterministic_algorithms(before or (self.deterministic and self.device.type == "cuda"))
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)


def listed_peak(device: torch.device, precision: Literal["fp32", "bf16"]) -> float | None:
    """The maker's figure in FLOP/s, for GPUs we have it of."""
    return hardware.peak_flops(torch.cuda.get_device_name(device), precision) if device.type == "cuda" else None


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a device did when it multiplied matrices."""

    peak_flops: float
    """FLOP/s."""
    share_of_cores: float
    """CPU time that the process got, over that of all of its threads; of meaning for a CPU only."""


@functools.cache
def measure(device: torch.device, dtype: torch.dtype) -> Measurement:
    """Multiply matrices for a moment."""
    started, used = time.perf_counter(), time.process_time()
    peak_flops = hardware.measure_matmul_flops(device, dtype, seconds=PEAK_MEASURING_SECONDS)
    seconds, used = time.perf_counter() - started, time.process_time() - used
    return Measurement(peak_flops, used / seconds / torch.get_num_threads())


def choose_execution(config: TrainConfig) -> Execution:
    """Settle every `auto` of the `[train]` table. Raises: UsageError when the device asked for is not there."""
    device = choose_device(config.device)
    bf16, precision_note = _choose_bf16(config.precision, device)
    compiled, compile_note = _choose_compile(config, device)
    notes = [f"device {device}: {_device_note(config.device)}", precision_note, compile_note]
    if device.type == "cuda":
        notes.append(_determinism_note(config.deterministic))
    return Execution(device, torch.bfloat16 if bf16 else None, compiled, tuple(notes), config.deterministic)


def choose_device(name: str) -> torch.device:
    """The named device, or the fastest present for `auto`. Raises: UsageError when it is not there."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"train.device {name!r} is not available here ({str(error).splitlines()[0]}); use cpu or auto"
        ) from error
    return device


def has_native_bf16(device: torch.device) -> bool:
    """Whether bf16 matrix products run in hardware; where they are emulated they are about 9 times slower than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


def _device_note(asked: str) -> str:
    return "the fastest present" if asked == "auto" else "as asked"


def _determinism_note(asked: bool) -> str:
    if asked:
        return "deterministic on: kernels that repeat to the bit; off is some percent faster"
    return "deterministic off: as asked, so a run that is repeated or resumed differs in the last digits"


def _choose_bf16(asked: str, device: torch.device) -> tuple[bool, str]:
    if asked != "auto":
        exact = ", without TF32" if asked == "fp32" and device.type == "cuda" else ""
        return asked == "bf16", f"precision {asked}: as asked{exact}"
    if has_native_bf16(device):
        return True, "precision bf16: this device has it in hardware"
    return False, "precision fp32: no bf16 hardware here, and emulated it is slower"


def _choose_compile(config: TrainConfig, device: torch.device) -> tuple[bool, str]:
    if config.compile != "auto":
        return config.compile == "on", f"compile {config.compile}: as asked"
    long = (config.steps or math.inf) >= COMPILE_PAYS_AFTER_STEPS
    if device.type == "cuda" and long and (config.budget_seconds or math.inf) >= COMPILE_PAYS_AFTER_SECONDS:
        return True, "compile on: pays on a GPU for a run of this length, and needs less memory than is said here"
    return False, "compile off: its warm-up would cost more than this run gains"
