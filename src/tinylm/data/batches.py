"""Training batches and validation windows from a memory-mapped array of token ids."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tinylm.errors import TinylmError

Tokens = npt.NDArray[Any]
Batch = tuple[torch.Tensor, torch.Tensor]


def sample_batch(
    tokens: Tokens, batch_size: int, context_length: int, *, seed: int, step: int, device: torch.device | str = "cpu"
) -> Batch:
    """Random windows of `tokens` and the same windows one token later, both int64 `(batch, seq)`.

    A pure function of (tokens, sizes, seed, step): resuming needs no stored position, and any batch can be made
    anywhere. Windows are drawn with replacement, uniformly over all starts.

    Raises: TinylmError when there are fewer than context_length + 1 tokens.
    """
    require_one_window(len(tokens), context_length)
    raw = np.random.Philox(key=[seed, step]).random_raw(batch_size)  # bit streams never change between releases
    starts = raw % np.uint64(len(tokens) - context_length)
    return _windows(tokens, starts.astype(np.int64), context_length, device)


def validation_batches(
    tokens: Tokens, batch_size: int, context_length: int, *, num_batches: int, device: torch.device | str = "cpu"
) -> Iterator[Batch]:
    """Consecutive windows that never overlap: `num_batches` batches of them spread evenly, or all when it is 0.

    Over all batches each token but the first is a target once; the last batch is smaller and the last window shorter.

    Raises: TinylmError when there are fewer than two tokens, or than one window when `num_batches` is given.
    """
    require_one_window(len(tokens), context_length if num_batches else 1)
    num_windows = (len(tokens) - 1) // context_length
    wanted = min(num_windows, num_batches * batch_size) if num_batches else num_windows
    starts = np.arange(wanted, dtype=np.int64) * num_windows // max(wanted, 1) * context_length
    for first in range(0, wanted, batch_size):
        yield _windows(tokens, starts[first : first + batch_size], context_length, device)
    rest = (len(tokens) - 1) % context_length
    if not num_batches and rest:
        yield _windows(tokens, np.array([num_windows * context_length]), rest, device)


def require_one_window(num_tokens: int, context_length: int) -> None:
    """Raises: TinylmError when not even one window and its targets fit."""
    if num_tokens <= context_length:
        raise TinylmError(
            f"{num_tokens} tokens are too few for a window of context_length {context_length} and its targets: "
            "use more text, or a shorter context"
        )


def _windows(tokens: Tokens, starts: npt.NDArray[np.int64], context_length: int, device: torch.device | str) -> Batch:
    windows = np.stack([tokens[start : start + context_length + 1] for start in starts]).astype(np.int64)
    batch = torch.from_numpy(windows)
    if torch.device(device).type == "cuda":
        batch = batch.pin_memory().to(device, non_blocking=True)
    else:
        batch = batch.to(device)
    return batch[:, :-1].contiguous(), batch[:, 1:].contiguous()
