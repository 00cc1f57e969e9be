"""A max-heap of pairs: the most frequent first, among equals the lexicographically greater pair of byte strings."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinylm.tokenizer.kernels.kernel import kernel


class PairHeap(NamedTuple):
    """A binary heap in two arrays: the children of entry i are entries 2i + 1 and 2i + 2."""

    counts: npt.NDArray[np.int64]
    pairs: npt.NDArray[np.int32]
    size: npt.NDArray[np.int64]
    """A single element: how many entries there are."""


class TokenBytes(NamedTuple):
    """The byte strings of the tokens: token i is `data[at[i]:at[i] + length[i]]`, a place where it occurs."""

    data: npt.NDArray[np.uint8]
    at: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    prefix: npt.NDArray[np.uint64]
    """The first eight bytes as a number, which decides most comparisons."""


class PairTokens(NamedTuple):
    """The two tokens of each pair."""

    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]


@kernel()
def push(heap, count, pair, ends, strings):
    """Add a pair."""
    i = heap.size[0]
    heap.size[0] += 1
    while i > 0:
        parent = (i - 1) >> 1
        if not comes_before(count, pair, heap.counts[parent], heap.pairs[parent], ends, strings):
            break
        heap.counts[i], heap.pairs[i] = heap.counts[parent], heap.pairs[parent]
        i = parent
    heap.counts[i], heap.pairs[i] = count, pair


@kernel()
def replace_first(heap, count, pair, ends, strings):
    """Put a pair in place of the first one."""
    i, size = 0, heap.size[0]
    while 2 * i + 1 < size:
        child = 2 * i + 1
        if child + 1 < size and comes_before(
            heap.counts[child + 1], heap.pairs[child + 1], heap.counts[child], heap.pairs[child], ends, strings
        ):
            child += 1
        if not comes_before(heap.counts[child], heap.pairs[child], count, pair, ends, strings):
            break
        heap.counts[i], heap.pairs[i] = heap.counts[child], heap.pairs[child]
        i = child
    heap.counts[i], heap.pairs[i] = count, pair


@kernel()
def remove_first(heap, ends, strings):
    """Drop the first pair; the last one is sifted down in its place."""
    heap.size[0] -= 1
    last = heap.size[0]
    if last > 0:
        replace_first(heap, heap.counts[last], heap.pairs[last], ends, strings)


@kernel(forceinline=True)
def comes_before(count, pair, other_count, other_pair, ends, strings):
    """The order of the heap."""
    if count != other_count:
        return count > other_count
    return is_greater(pair, other_pair, ends, strings)


@kernel()
def is_greater(pair, other, ends, strings):
    """Whether `pair` is the lexicographically greater of two pairs of byte strings."""
    if ends.left[pair] != ends.left[other]:
        return compare(ends.left[pair], ends.left[other], strings) > 0
    return compare(ends.right[pair], ends.right[other], strings) > 0


@kernel()
def compare(token, other, strings):
    """Positive, zero or negative as the first token's bytes are greater than, equal to or less than the second's."""
    if strings.prefix[token] != strings.prefix[other]:
        return 1 if strings.prefix[token] > strings.prefix[other] else -1
    at, other_at = strings.at[token], strings.at[other]
    for i in range(min(strings.length[token], strings.length[other])):
        difference = np.int64(strings.data[at + i]) - np.int64(strings.data[other_at + i])
        if difference != 0:
            return difference
    return strings.length[token] - strings.length[other]


@kernel()
def prefix_of(data, at, length):
    """The first eight of the `length` bytes at `data[at]`, zeros after the end, as a number in reading order."""
    prefix = np.uint64(0)
    for i in range(8):
        byte = np.uint64(data[at + i]) if i < length else np.uint64(0)
        prefix = prefix << np.uint64(8) | byte
    return prefix
