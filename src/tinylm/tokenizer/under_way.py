"""Work on many items that is done elsewhere, a few at a time, results in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    submit: Callable[[Item], Future[Result]], items: Iterable[Item], at_once: int
) -> Iterator[tuple[Item, Result]]:
    """Each item with its result, in the order of the items, of which so many are under way: memory is bounded.

    What has not begun is cancelled when nobody wants more.
    """
    under_way: deque[tuple[Item, Future[Result]]] = deque()
    try:
        for item in items:
            under_way.append((item, submit(item)))
            if len(under_way) > at_once:
                yield under_way[0][0], under_way.popleft()[1].result()
        while under_way:
            yield under_way[0][0], under_way.popleft()[1].result()
    finally:
        for _, future in under_way:
            future.cancel()
