"""Cores that are not there are noticed, with what to do about it."""

import os
from pathlib import Path

import pytest
import torch

from tinylm.configs.run import TrainConfig
from tinylm.training import cores
from tinylm.training.cores import available_cores, cgroup_quotas, core_notes
from tinylm.training.device import Execution, Measurement, choose_execution


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> "NotesOf":
    """The notes for a number of threads, of cores, and a share of their time."""

    def made(threads: int, available: float, share: float) -> list[str]:
        monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
        monkeypatch.setattr(cores, "available_cores", lambda: available)
        monkeypatch.setattr(Execution, "measured", lambda _: Measurement(1e12, share))
        return list(core_notes(choose_execution(TrainConfig(device="cpu"))))

    return made


def test_all_well_is_not_worth_a_word(notes: "NotesOf") -> None:
    """As many threads as cores, which get their time."""
    assert notes(2, 2.0, 0.97) == []


def test_more_threads_than_cores(notes: "NotesOf") -> None:
    """Eight threads in a container with two cores and a half: use two."""
    (note,) = notes(8, 2.5, 0.3)
    assert "8 threads where this process may use 2.5 cores" in note
    assert note.endswith("set OMP_NUM_THREADS=2")


def test_shared_cores(notes: "NotesOf") -> None:
    """Two threads that get half the time of two cores: something else runs there."""
    (note,) = notes(2, 2.0, 0.5)
    assert "2 threads get 50% of their cores' time" in note
    assert note.endswith("stop those, or set OMP_NUM_THREADS=1")


def test_a_gpu_needs_no_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only training on the CPU depends on them."""
    monkeypatch.setattr(cores, "available_cores", lambda: 0.5)
    execution = Execution(torch.device("cuda"), None, compile=False, notes=())
    assert list(core_notes(execution)) == []


def test_this_process() -> None:
    """No more than the machine has, and more than nothing."""
    assert 0 < available_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, [1.5]),
        ({"cpu.max": "max 100000\n"}, []),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, [4.0]),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, []),
        ({}, []),
    ],
)
def test_quota_of_a_cgroup(files: dict[str, str], expected: list[float], tmp_path: Path) -> None:
    """Both versions' files, limited and not, are read as cores."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert list(cgroup_quotas(tmp_path)) == expected


class NotesOf:
    """Type of the fixture."""

    def __call__(self, threads: int, available: float, share: float) -> list[str]: ...
