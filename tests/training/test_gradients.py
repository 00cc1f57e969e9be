"""When the device is short of memory or the compiler fails, the same gradients come another way."""

from collections.abc import Callable

import pytest
import torch

from tinylm.configs.model import ModelConfig
from tinylm.configs.run import TrainConfig
from tinylm.errors import TinylmError
from tinylm.model.build import build_loss, build_model
from tinylm.training.device import choose_execution
from tinylm.training.gradients import Gradients

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def squares(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean squared error."""
    return (outputs - targets).square().mean()


def short_of_memory(largest: int) -> Loss:
    """A loss that fits only so many rows."""

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if len(outputs) > largest:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return squares(outputs, targets)

    return loss


def gradients(loss: Loss, rows: int, *, grad_accumulation: int = 1) -> tuple[Gradients, float, torch.Tensor]:
    """The object, the loss and the gradient of a small linear model on a fixed batch."""
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 3, bias=False)
    made = Gradients(model, loss, choose_execution(TrainConfig(device="cpu", precision="fp32")), grad_accumulation)
    value = made.compute(torch.randn(rows, 4), torch.randn(rows, 3))
    assert model.weight.grad is not None
    return made, value.item(), model.weight.grad


@pytest.mark.parametrize(("rows", "fits", "expected"), [(8, 4, 2), (8, 1, 8), (12, 2, 6), (6, 2, 3), (7, 6, 7)])
def test_micro_batches_shrink_until_they_fit(rows: int, fits: int, expected: int) -> None:
    """Out of memory takes the next larger grad_accumulation that divides, and gives the whole batch's gradient."""
    made, loss, gradient = gradients(short_of_memory(fits), rows)
    _, whole_loss, whole_gradient = gradients(squares, rows)
    assert made.grad_accumulation == expected
    assert made.notes[-1].startswith(f"out of memory: going on with micro-batches of {rows // expected}")
    assert loss == pytest.approx(whole_loss)
    torch.testing.assert_close(gradient, whole_gradient)


def test_what_was_computed_before_running_out_is_dropped() -> None:
    """Running out in the last of several micro-batches leaves nothing of the earlier ones in the gradient."""
    calls = 0

    def third_fails(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return squares(outputs, targets)

    made, _, gradient = gradients(third_fails, 8, grad_accumulation=4)
    assert made.grad_accumulation == 8
    torch.testing.assert_close(gradient, gradients(squares, 8)[2])


def test_one_sequence_that_does_not_fit_is_the_end() -> None:
    """When not even one row fits, the error says so and what helps."""
    with pytest.raises(TinylmError, match=r"out of memory with one sequence at a time.*tinylm memory"):
        gradients(short_of_memory(0), 4)


def test_failed_compilation_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that is not there costs a line, not the run; the gradients are those without it."""

    def no_compiler(_: Loss) -> Loss:
        def fails(*_: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\nmany lines more")

        return fails

    monkeypatch.setattr(torch, "compile", no_compiler)
    model = torch.nn.Linear(4, 3, bias=False)
    execution = choose_execution(TrainConfig(device="cpu", precision="fp32", compile="on"))
    made = Gradients(model, squares, execution, 1)
    inputs, targets = torch.randn(2, 4), torch.randn(2, 3)
    assert made.compute(inputs, targets).item() == squares(model(inputs), targets).item()
    assert made.notes == ["torch.compile failed, going on without: InvalidCxxCompiler: No working C++ compiler found"]


@pytest.mark.gpu
def test_a_gpu_that_is_full_gets_smaller_micro_batches() -> None:
    """A real shortage of memory: the batch is computed in parts, and its loss is that with memory enough."""
    execution = choose_execution(TrainConfig(device="cuda", precision="fp32", compile="off"))
    config = ModelConfig(vocab_size=5000, context_length=256, d_model=64, num_layers=1, num_heads=1, d_ff=64)
    inputs, targets = torch.randint(5000, (2, 64, 256), device="cuda")
    results = []
    for limit in (1.0, 0.8e9 / torch.cuda.mem_get_info()[1]):
        model = build_model(config, seed=0, device="cuda")
        made = Gradients(model, build_loss(config), execution, 1)
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(limit)
        try:
            results.append((made.compute(inputs, targets).item(), made.grad_accumulation))
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
    (loss, whole), (loss_in_parts, parts) = results
    assert whole == 1 < parts
    assert loss_in_parts == pytest.approx(loss, abs=1e-5)


def test_an_error_of_the_models_own_is_not_swallowed() -> None:
    """Shapes that do not fit raise what they always raise."""
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        gradients(lambda outputs, _: (outputs @ outputs).sum(), 5)
