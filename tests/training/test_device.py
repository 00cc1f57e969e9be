"""Every "auto" is settled with a reason, and what is not there is refused."""

import pytest
import torch

from tinylm.configs.run import TrainConfig
from tinylm.errors import UsageError
from tinylm.training import device
from tinylm.training.device import Execution, choose_device, choose_execution


@pytest.mark.parametrize("native", [True, False])
def test_auto_takes_bf16_only_where_it_is_native(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Precision auto follows the hardware."""
    monkeypatch.setattr(device, "has_native_bf16", lambda _: native)
    execution = choose_execution(TrainConfig(device="cpu"))
    assert execution.precision == ("bf16" if native else "fp32")
    assert execution.dtype is (torch.bfloat16 if native else torch.float32)


def test_what_was_asked_is_done() -> None:
    """Explicit settings win over what auto would choose."""
    execution = choose_execution(TrainConfig(device="cpu", precision="bf16", compile="on"))
    assert (execution.precision, execution.compile, execution.device.type) == ("bf16", True, "cpu")
    assert len(execution.notes) == 3


def test_auto_does_not_compile_on_a_cpu() -> None:
    """On a CPU compilation costs more than a short run gains."""
    assert not choose_execution(TrainConfig(device="cpu", steps=100)).compile


def test_bf16_autocast_computes_in_bf16() -> None:
    """Inside autocast matrix products are bf16, outside float32."""
    execution = choose_execution(TrainConfig(device="cpu", precision="bf16"))
    matrix = torch.ones(2, 2)
    with execution.autocast():
        assert (matrix @ matrix).dtype is torch.bfloat16
    assert (matrix @ matrix).dtype is torch.float32


@pytest.mark.parametrize("name", ["cuda:99", "abacus"])
def test_absent_device_is_refused(name: str) -> None:
    """A device that is not there is a usage error with a way out, not a traceback from the first tensor."""
    with pytest.raises(UsageError, match=r"train\.device .* is not available here .*use cpu or auto"):
        choose_device(name)


@pytest.mark.parametrize(
    ("name", "asked", "expected"), [("cuda", True, True), ("cuda", False, False), ("cpu", True, False)]
)
def test_a_gpu_steps_with_repeatable_kernels(name: str, asked: bool, expected: bool) -> None:
    """PyTorch's switch is on within a step only, where it was asked for, on a GPU; an error leaves it as it was."""
    execution = Execution(torch.device(name), None, compile=False, notes=(), deterministic=asked)
    with pytest.raises(ZeroDivisionError), execution.repeatable():
        assert torch.are_deterministic_algorithms_enabled() == expected
        raise ZeroDivisionError
    assert not torch.are_deterministic_algorithms_enabled()


def test_what_the_user_switched_on_stays_on() -> None:
    """A program that wants determinism everywhere keeps it."""
    torch.use_deterministic_algorithms(True)
    try:
        with Execution(torch.device("cpu"), None, compile=False, notes=()).repeatable():
            assert torch.are_deterministic_algorithms_enabled()
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


def test_peak_is_measured_where_no_maker_lists_it() -> None:
    """On a CPU the peak rate is a measured matrix product: positive and below a petaFLOP/s."""
    assert 1e8 < choose_execution(TrainConfig(device="cpu")).peak_flops() < 1e15
