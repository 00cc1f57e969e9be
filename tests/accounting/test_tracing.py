"""The oracle of memory, on computations whose peak can be told by hand."""

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from tinylm.accounting.tracing import allocated_peak_bytes, traced_peak_bytes, without_storage
from tinylm.configs.model import ModelConfig
from tinylm.model import build_model

MEGABYTE = 2**20


def grow_and_shrink(held: torch.Tensor) -> None:
    """Two more tensors of the size of `held` at most, and a view, which is none."""
    first = held + 1
    view = first.view(-1)
    second = first * 2
    del first, view
    second += held


def test_traced_peak_counts_each_living_storage_once() -> None:
    """Views add nothing, what is freed no longer counts."""
    with FakeTensorMode():
        held = torch.empty(MEGABYTE // 4)
        assert traced_peak_bytes(lambda: grow_and_shrink(held), [held, held.view(-1)]) == 3 * MEGABYTE


def test_allocated_peak_is_what_the_allocator_saw() -> None:
    """The same computation for real."""
    held = torch.ones(MEGABYTE // 4)
    peak = allocated_peak_bytes(lambda: grow_and_shrink(held), torch.device("cpu"), [held, held.view(-1)])
    assert 0 <= peak - 3 * MEGABYTE <= 64  # the numbers 1 and 2


def test_trace_and_allocator_agree_on_the_copy_a_cpu_makes_to_change_types() -> None:
    """Multiplying floats with a mask first turns the mask into floats."""

    def masked(values: torch.Tensor) -> None:
        mask = values == values
        values * mask

    real = torch.ones(MEGABYTE // 4)
    with FakeTensorMode():
        fake = torch.empty(MEGABYTE // 4)
        traced = traced_peak_bytes(lambda: masked(fake), [fake])
    assert traced == allocated_peak_bytes(lambda: masked(real), torch.device("cpu"), [real])
    assert traced == MEGABYTE + MEGABYTE // 4 + 2 * MEGABYTE


def test_without_storage_keeps_shapes_and_ties() -> None:
    """A tied head stays tied, so that it is counted once."""
    model = build_model(ModelConfig(vocab_size=20, d_model=16, num_heads=2, tie_embeddings=True), device="meta")
    shapes = [parameter.shape for parameter in model.parameters()]
    without_storage(model, FakeTensorMode())
    assert [parameter.shape for parameter in model.parameters()] == shapes
    assert all(parameter.device.type == "cpu" for parameter in model.parameters())
