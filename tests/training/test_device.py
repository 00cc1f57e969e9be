"""Every "auto" is settled with a reason, and what is not there is refused."""

import pytest
import torch

from tinylm.configs.run import TrainConfig
from tinylm.errors import UsageError
from tinylm.training import device
from tinylm.training.device import choose_device, choose_execution


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


def test_peak_is_measured_where_no_maker_lists_it() -> None:
    """On a CPU the peak rate is a measured matrix product: positive and below a petaFLOP/s."""
    assert 1e8 < choose_execution(TrainConfig(device="cpu")).peak_flops() < 1e15
