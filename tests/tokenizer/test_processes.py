"""The ordered map over worker processes."""

import operator
import signal
from functools import partial

import pytest

from tinylm.errors import TinylmError
from tinylm.tokenizer import processes
from tinylm.tokenizer.processes import map_in_order


def test_results_come_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Items come back with their results, in their order, in this process and from workers."""
    expected = [(number, -number) for number in range(40)]
    assert list(map_in_order(operator.neg, range(40), 1)) == expected
    monkeypatch.setattr(processes, "FEW", 0)
    assert list(map_in_order(operator.neg, range(40), 2)) == expected


def test_few_items_start_no_workers() -> None:
    """Fewer items than it takes to start workers are done here: a lambda could not be sent to one."""
    assert list(map_in_order(lambda number: number + 1, range(processes.FEW - 1), 8)) == [(0, 1), (1, 2), (2, 3)]


@pytest.mark.parametrize("num_items", [4, 100])
def test_a_killed_worker_is_an_error(num_items: int) -> None:
    """A worker that gets SIGKILL, as from the kernel when memory runs out, is an error and never a hang."""
    with pytest.raises(TinylmError, match="a worker process died"):
        list(map_in_order(signal.raise_signal, [signal.SIGKILL] * num_items, 2))


def test_an_error_in_a_worker_is_raised_here() -> None:
    """What the function raises comes out of the map."""
    with pytest.raises(ZeroDivisionError):
        list(map_in_order(partial(operator.floordiv, 1), [1, 0, 1, 1, 1], 2))
