"""Ordered map over worker processes, with a bounded number of items under way."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from typing import Any, TypeVar

from tinylm.errors import TinylmError
from tinylm.tokenizer.under_way import in_order

Item = TypeVar("Item")
Result = TypeVar("Result")

FEW = 4
"""So many items are done here sooner than workers start."""


def available_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_in_order(
    function: Callable[[Item], Result], items: Iterable[Item], num_workers: int | None = None
) -> Iterator[tuple[Item, Result]]:
    """Each item with `function(item)`, by `num_workers` processes (None: one a core). Few items are done in this one.

    Raises: TinylmError when a worker is killed; what `function` raises.
    """
    num_workers = num_workers or available_cores()
    items = iter(items)
    few = list(islice(items, FEW)) if num_workers > 1 else []
    if len(few) < FEW:
        yield from ((item, function(item)) for item in chain(few, items))
        return
    try:
        yield from _map_in_workers(function, chain(few, items), num_workers)
    except BrokenProcessPool:
        raise TinylmError(
            "a worker process died: it was killed, or memory ran out (then use fewer --threads), "
            'or a script of your own calls this outside `if __name__ == "__main__":`'
        ) from None


def _map_in_workers(
    function: Callable[[Item], Result], items: Iterator[Item], num_workers: int
) -> Iterator[tuple[Item, Result]]:
    # spawn, because a fork after torch or numba have started threads can deadlock
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(num_workers, context, initializer=_start_worker, initargs=(function,))
    try:
        yield from in_order(lambda item: executor.submit(_call, item), items, 2 * num_workers)
    finally:
        executor.shutdown(cancel_futures=True)


_function: Callable[[Any], Any]


def _start_worker(function: Callable[[Any], Any]) -> None:
    """Keep the function, so that what it holds (a tokenizer and its cache) is sent and built once a worker."""
    global _function  # noqa: PLW0603  # a worker process has no other place that outlives one call
    _function = function
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends a worker without a traceback
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _call(item: Any) -> Any:
    return _function(item)
