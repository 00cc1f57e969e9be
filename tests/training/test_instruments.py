"""Instruments show what is there."""

import pytest
import torch

from tinylm.training.instruments import UpdateRatio, process_peak_bytes


def test_update_ratio_is_change_over_size() -> None:
    """Weights of norm 5 that move by 0.1 and 0.2 in two directions moved by sqrt(0.05) / 5 of it."""
    one, two = torch.tensor([3.0, 0.0]), torch.tensor([[4.0]])
    ratio = UpdateRatio([one, two])
    one[0] += 0.1
    two[0, 0] -= 0.2
    assert ratio.measure().item() == pytest.approx(0.05**0.5 / 5)


def test_no_change_is_zero() -> None:
    """Weights that stay have moved by nothing."""
    assert UpdateRatio([torch.ones(3)]).measure().item() == 0


def test_process_peak_counts_bytes_and_never_falls() -> None:
    """Holding 64 MB more than ever shows as at least that, before and after it is let go."""
    import mmap

    import numpy as np
    import psutil

    num_bytes = process_peak_bytes() - psutil.Process().memory_info().rss + 64_000_000
    before = process_peak_bytes()
    held = np.frombuffer(mmap.mmap(-1, num_bytes), dtype=np.uint8)  # malloc may have freed memory to give again
    held[:] = 1
    high = process_peak_bytes()
    assert before + 50_000_000 < high < before + num_bytes + 200_000_000
    del held
    assert process_peak_bytes() >= high
