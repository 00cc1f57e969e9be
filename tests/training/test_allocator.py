"""Freed memory is kept for the next step."""

import sys

import pytest

from tinylm.configs.run import TrainConfig
from tinylm.training import device
from tinylm.training.allocator import keep_freed_memory
from tinylm.training.device import choose_execution

MEGABYTES = 100
PAGES = MEGABYTES * 2**20 // 4096


def page_faults(count: int) -> int:
    """Pages that the kernel had to provide while so many large blocks were filled and freed in turn."""
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(count):
        bytearray(MEGABYTES * 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_a_block_is_used_again() -> None:
    """Once a large block was freed, the next ones of its size cost no page faults."""
    if not keep_freed_memory():
        pytest.skip("not glibc")
    page_faults(1)
    assert page_faults(5) < PAGES / 10


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_elsewhere_it_does_nothing(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On other systems nothing is called and nothing fails."""
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr("ctypes.CDLL", None)
    assert not keep_freed_memory()


def test_training_on_a_cpu_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run on a CPU sets malloc up before its first tensor."""
    calls: list[bool] = []
    monkeypatch.setattr(device, "keep_freed_memory", lambda: calls.append(True))
    choose_execution(TrainConfig(device="cpu")).prepare()
    assert calls == [True]
