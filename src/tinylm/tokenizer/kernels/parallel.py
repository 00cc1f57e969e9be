"""Work on chunks in threads, results in order."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

from tinylm.tokenizer.under_way import in_order

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

    with ThreadPoolExecutor(len(workers)) as pool:
        yield from in_order(lambda item: pool.submit(run, item), items, AHEAD_PER_THREAD * len(workers))
