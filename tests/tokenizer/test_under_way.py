"""Futures under way, and in what order their results come."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count, islice

from tinylm.tokenizer.under_way import in_order


def test_results_are_in_the_order_of_the_items() -> None:
    """Whatever is done first."""
    with ThreadPoolExecutor(3) as pool:
        assert list(in_order(lambda i: pool.submit(lambda: i * i), range(50), 5)) == [(i, i * i) for i in range(50)]


def test_no_more_are_under_way_than_said_and_none_is_left() -> None:
    """Items are taken as results are, from a source without end; what has not begun is cancelled at the end."""
    submitted: list[Future[int]] = []

    def submit(item: int) -> Future[int]:
        submitted.append(Future())
        submitted[0].set_result(item) if item == 0 else None
        return submitted[-1]

    results: Iterator[tuple[int, int]] = in_order(submit, count(), 4)
    assert list(islice(results, 1)) == [(0, 0)]
    assert len(submitted) == 5
    results.close()  # type: ignore[attr-defined]  # it is a generator
    assert [future.cancelled() for future in submitted] == [False, True, True, True, True]
