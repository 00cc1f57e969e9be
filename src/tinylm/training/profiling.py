"""A few steps of a run under PyTorch's profiler."""

import operator
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, schedule

from tinylm.training.reports import NoteReport, Operation, ProfileReport

SKIPPED_STEPS = 3
"""Compilation, allocation and warm caches are behind then; one more step warms up the profiler itself."""
TOP_OPERATIONS = 15


class StepProfile:
    """Profiles `num_steps` steps of a loop that calls `step_done` after each of its steps; with 0 it does nothing."""

    def __init__(self, num_steps: int, trace: Path, device: torch.device) -> None:
        self._trace = trace
        self._on_gpu = device.type == "cuda"
        self._operations: tuple[Operation, ...] = ()
        self._profiler = self._start(num_steps) if num_steps else None

    def step_done(self, step: int, *, last: bool = False) -> Iterator[ProfileReport | NoteReport]:
        """The report, after the last profiled step, or of those that there were after the `last` of all."""
        if not self._profiler:
            return
        self._profiler.step()
        if last:
            self.close()
        operations, self._operations = self._operations, ()
        if operations:
            self.close()
            yield ProfileReport(step, self._trace, operations)
        elif last:
            yield NoteReport(step, f"nothing was profiled: the first {SKIPPED_STEPS + 1} steps are no guide")

    def close(self) -> None:
        """Profile no further."""
        if self._profiler:
            self._profiler.stop()
        self._profiler = None

    def _start(self, num_steps: int) -> profile:
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if self._on_gpu else [])]
        phases = schedule(skip_first=SKIPPED_STEPS, wait=0, warmup=1, active=num_steps, repeat=1)
        profiler = profile(activities=activities, schedule=phases, on_trace_ready=self._finish, acc_events=True)
        profiler.start()
        return profiler

    def _finish(self, profiler: profile) -> None:
        profiler.export_chrome_trace(str(self._trace))
        self._operations = top_operations(profiler, on_gpu=self._on_gpu)


def top_operations(profiler: profile, *, on_gpu: bool) -> tuple[Operation, ...]:
    """Operations by their own time, or on a GPU by that of the kernels they launch, which are not listed themselves."""
    own_time = operator.attrgetter("self_device_time_total" if on_gpu else "self_cpu_time_total")
    recorded = [event for event in profiler.key_averages() if event.device_type.name == "CPU"]
    events = [event for event in recorded if not event.key.startswith("ProfilerStep")]
    total = sum(own_time(event) for event in events)
    longest = sorted(events, key=own_time, reverse=True)[:TOP_OPERATIONS]
    return tuple(
        Operation(event.key, event.count, own_time(event) / 1e6, own_time(event) / total if total else 0.0)
        for event in longest
    )
