"""Work in threads."""

import threading
import time
from collections.abc import Iterator

import pytest

from tinylm.tokenizer.kernels.parallel import AHEAD_PER_THREAD, map_in_order


@pytest.mark.parametrize("num_workers", [1, 3])
def test_results_come_in_order(num_workers: int) -> None:
    """Whichever is done first; and no worker has two things to do at a time."""
    workers = [threading.Lock() for _ in range(num_workers)]

    def work(worker: threading.Lock, item: int) -> int:
        assert worker.acquire(blocking=False)
        time.sleep(0.002 * (item % 3))
        worker.release()
        return item * item

    assert list(map_in_order(work, range(30), workers)) == [(i, i * i) for i in range(30)]


def test_only_a_few_items_are_taken_ahead() -> None:
    """Items are not read faster than results are taken."""
    taken: list[int] = []

    def items() -> Iterator[int]:
        for i in range(100):
            taken.append(i)
            yield i

    results = map_in_order(lambda _worker, item: item, items(), [1, 2])
    next(results)
    assert len(taken) <= 2 * AHEAD_PER_THREAD + 1
    results.close()  # type: ignore[attr-defined]  # a generator


def test_an_error_reaches_the_caller() -> None:
    """What the work raises is raised where the results are taken."""

    def work(_worker: int, item: int) -> None:
        if item == 5:
            raise ValueError("five")

    for workers in ([1], [1, 2, 3]):
        with pytest.raises(ValueError, match="five"):
            list(map_in_order(work, range(10), workers))
