"""The bytes that a step really holds: followed on tensors without storage, or asked of the allocator.

The oracle of `memory`. The only module here that needs torch; it is imported where a trace is asked for.
"""

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
IN_PLACE = {aten.scatter_add.default: aten.scatter_add_.default, aten.index_put.default: aten.index_put_.default}
"""Autograd fills fresh zeros in place, except for tensors of a subclass, as those without storage are."""


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has no types for it
    """Adds up the storages that are alive after each operation, and remembers the most there were."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._seen: set[int] = set()

    def watch(self, tensors: Iterable[Tensor]) -> None:
        """Count these from here on, each storage once, until it is freed."""
        for tensor in tensors:
            storage = tensor.untyped_storage()
            if storage._cdata not in self._seen:
                self._seen.add(storage._cdata)
                self.now += storage.nbytes()
                weakref.finalize(storage, self._freed, storage._cdata, storage.nbytes())
        self.peak = max(self.peak, self.now)

    def _freed(self, storage: int, num_bytes: int) -> None:
        self._seen.remove(storage)
        self.now -= num_bytes

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is aten._local_scalar_dense.default:
            return 1.0  # a tensor without storage has no value; no size depends on one
        result = IN_PLACE.get(func, func)(*args, **(kwargs or {}))
        self.watch(tensors_in(result))
        self.peak = max(self.peak, self.now + converted_bytes(func, args, result))
        return result


def tensors_in(tree: Any) -> list[Tensor]:
    """All tensors in nested lists and tuples."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def converted_bytes(func: Any, args: Sequence[Any], result: Any) -> int:
    """Copies that a CPU makes, for as long as the operation lasts, of arguments in another type than its result's."""
    if not isinstance(result, Tensor) or not (torch.Tag.pointwise in func.tags or func is aten.sum.dim_IntList):
        return 0
    if result.dtype is torch.bool:  # of a comparison; its arguments are of one type
        return 0
    others = (tensor for tensor in tensors_in(args) if tensor.ndim and tensor.dtype is not result.dtype)
    return sum(tensor.numel() * result.itemsize for tensor in others)


def without_storage(model: nn.Module, mode: FakeTensorMode) -> None:
    """Give a model on the meta device parameters and buffers that claim a device but occupy nothing."""
    with mode:
        for module in model.modules():
            for name, parameter in module.named_parameters(recurse=False):
                setattr(module, name, nn.Parameter(torch.empty(parameter.shape)))
            for name, buffer in module.named_buffers(recurse=False):
                setattr(module, name, torch.empty(buffer.shape))


def traced_peak_bytes(step: Callable[[], object], held: Iterable[Tensor]) -> int:
    """Peak of the second call of `step`, when the optimizer has its state; `held` are the tensors there before.

    To be called, like `step`, under the FakeTensorMode of `held`.
    """
    live = LiveBytes()
    live.watch(held)
    with live:
        step()
        live.peak = live.now
        step()
    return live.peak


def allocated_peak_bytes(step: Callable[[], object], device: torch.device, held: Iterable[Tensor]) -> int:
    """Peak of a real `step` by the allocator's own account; on a CPU `held` are the tensors there before."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        step()
        return torch.cuda.max_memory_allocated(device)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recording:
        step()
    now = peak = sum({tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes() for tensor in held}.values())
    events = [event for event in recording.profiler.kineto_results.events() if event.name() == "[memory]"]
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak
