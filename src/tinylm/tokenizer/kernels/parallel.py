"""Work on chunks in threads, results in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

Worker = TypeVar("Worker")
Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD_PER_THREAD = 2


def map_in_order(
    work: Callable[[Worker, Item], Result], items: Iterable[Item], workers: Sequence[Worker]
) -> Iterator[tuple[Item, Result]]:
    """Yield each item with `work(worker, item)`, in the order of the items; a worker does one thing at a time.

    One worker works in the caller's thread. Only a few items are taken ahead, so that memory is bounded.
    """
    if len(workers) == 1:
        for item in items:
            yield item, work(workers[0], item)
        return
    idle: SimpleQueue[Worker] = SimpleQueue()
    for worker in workers:
        idle.put(worker)

    def run(item: Item) -> Result:
        worker = idle.get()
        try:
            return work(worker, item)
        finally:
            idle.put(worker)

    waiting: deque[tuple[Item, Future[Result]]] = deque()
    with ThreadPoolExecutor(len(workers)) as pool:
        try:
            for item in items:
                waiting.append((item, pool.submit(run, item)))
                if len(waiting) > AHEAD_PER_THREAD * len(workers):
                    yield waiting[0][0], waiting.popleft()[1].result()
            while waiting:
                yield waiting[0][0], waiting.popleft()[1].result()
        finally:
            for _, future in waiting:
                future.cancel()
