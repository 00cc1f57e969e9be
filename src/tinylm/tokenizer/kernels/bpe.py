"""The ids of one pre-token: merges applied, the one of lowest rank first, and the leftmost of those."""

import numpy as np

from tinylm.tokenizer.kernels.intrinsics import prefetch
from tinylm.tokenizer.kernels.kernel import kernel
from tinylm.tokenizer.kernels.merge_table import ID_BITS, NO_MERGE, rank_of

SHORT_PRETOKEN = 48
"""Up to this many bytes, looking through all pairs for the best one is faster than keeping a heap of them."""

ID_MASK = np.int64((1 << ID_BITS) - 1)

ID, RANK, BEFORE, AFTER = range(4)
"""What is known of a token: its id, the rank of it and the next one, and the positions of its neighbours."""

POSITION_BITS = 40
POSITION_MASK = np.int64((1 << POSITION_BITS) - 1)

AHEAD = 16
"""Pairs whose tokens are on their way to the processor while another is merged."""

SOON = 3
"""The item that a heap gives next is among so many at its top; their tokens are on their way, too."""

DIGIT_BITS = 7
"""Of the radix sort: three digits are a rank, and counting 128 of them is nothing to a word that is not short."""


@kernel(forceinline=True)
def encode_pretoken(text, at, length, table, tokens, out, count):
    """Write the ids of the pre-token `text[at:at + length]` to `out` from index `count` on; returns the new count.

    `tokens` is scratch space for SHORT_PRETOKEN tokens.
    """
    if length > SHORT_PRETOKEN:
        return encode_by_heap(text, at, length, table, out, count)
    for i in range(length):
        rank = np.int64(table.byte_pairs[np.int64(text[at + i]) << 8 | text[at + i + 1]])
        tokens[i] = rank << ID_BITS | table.byte_ids[text[at + i]]
    last = merge_by_search(table, tokens, length - 1)
    for i in range(last + 1):
        out[count + i] = tokens[i] & ID_MASK
    return count + last + 1


@kernel(forceinline=True)
def merge_by_search(table, tokens, last):
    """Merge `tokens[:last + 1]` as far as it goes; returns the new last index.

    `tokens[i]` is `rank << ID_BITS | id`, the rank that of ids i and i + 1: one comparison, one array to close up. The
    places of a pair that occurs twice are equal. After a merge only the ranks of its two neighbours are looked up.
    """
    while last > 0:
        best, smallest = 0, tokens[0]
        for i in range(1, last):
            if tokens[i] < smallest:
                best, smallest = i, tokens[i]
        rank = smallest >> ID_BITS
        if rank == NO_MERGE:
            break
        last -= 1
        for i in range(best + 1, last + 1):
            tokens[i] = tokens[i + 1]
        tokens[best] = table.merged_ids[rank]
        if best > 0:
            give_rank(table, tokens, best - 1)
        if best < last:
            give_rank(table, tokens, best)
    return last


@kernel(forceinline=True)
def give_rank(table, tokens, i):
    """Look up the rank of the ids i and i + 1."""
    id = tokens[i] & ID_MASK
    tokens[i] = rank_of(table, id, tokens[i + 1] & ID_MASK) << ID_BITS | id


@kernel(_nrt=True)
def encode_by_heap(text, at, length, table, out, count):
    """`encode_pretoken` in O(n log n): tokens are a linked list over their first bytes, pairs that merges make a heap.

    The pairs of bytes are sorted, which is faster than to have them in the heap and leaves it a smaller one; the heap
    then has the array that they were sorted from, since the system takes its time to clear a new one. An item of either
    is `rank << POSITION_BITS | position`: ordered as wanted. It is out of date when the pair at its position has
    another rank by now. A merge takes at least one item, adds at most two and removes a token. All that is known of a
    position stands together, since positions come up in no order that a processor could foresee.
    """
    heap, size = np.empty(2 * length, np.int64), 0
    tokens, num_pairs = tokens_and_pairs(text, at, length, table, heap)
    pairs, next_pair = sorted_by_rank(heap, num_pairs), 0
    cells = tokens.reshape(-1)
    while next_pair < num_pairs or size > 0:
        if next_pair < num_pairs and (size == 0 or pairs[next_pair] < heap[0]):
            item = pairs[next_pair]
            next_pair += 1
            coming = pairs[min(next_pair + AHEAD, num_pairs - 1)] & POSITION_MASK
            prefetch(cells, coming * tokens.shape[1])
        else:
            item = heap[0]
            size = remove_first(heap, size)
            for i in range(min(size, SOON)):
                prefetch(cells, (heap[i] & POSITION_MASK) * tokens.shape[1])
        left = item & POSITION_MASK
        if tokens[left, RANK] != item >> POSITION_BITS:
            continue
        right = tokens[left, AFTER]
        tokens[left, ID] = table.merged_ids[tokens[left, RANK]]
        tokens[left, RANK] = tokens[right, RANK] = NO_MERGE
        before, after = tokens[left, BEFORE], tokens[right, AFTER]
        tokens[left, AFTER] = after
        if after < length:
            tokens[after, BEFORE] = left
            tokens[left, RANK] = rank_of(table, tokens[left, ID], tokens[after, ID])
            size = push(heap, size, tokens[left, RANK], left)
        if before >= 0:
            tokens[before, RANK] = rank_of(table, tokens[before, ID], tokens[left, ID])
            size = push(heap, size, tokens[before, RANK], before)
    i = 0
    while i < length:
        out[count] = tokens[i, ID]
        count += 1
        i = tokens[i, AFTER]
    return count


@kernel(_nrt=True)
def tokens_and_pairs(text, at, length, table, pairs):
    """A pre-token's bytes as tokens, `(length, 4)`, and how many pairs can be merged: their items go to `pairs`."""
    tokens, num_pairs = np.empty((length, 4), np.int32), 0
    for i in range(length):
        tokens[i, ID], tokens[i, BEFORE], tokens[i, AFTER] = table.byte_ids[text[at + i]], i - 1, i + 1
        tokens[i, RANK] = NO_MERGE
        if i + 1 < length:
            tokens[i, RANK] = table.byte_pairs[np.int64(text[at + i]) << 8 | text[at + i + 1]]
        pairs[num_pairs] = np.int64(tokens[i, RANK]) << POSITION_BITS | i
        num_pairs += tokens[i, RANK] != NO_MERGE
    return tokens, num_pairs


@kernel(_nrt=True)
def sorted_by_rank(items, size):
    """The first `size` items, which come in order of position, by rank and position: a radix sort, digit by digit.

    They are in another array afterwards, since the number of digits is odd; what is in `items` is of no more use.
    """
    other, starts = np.empty(size, np.int64), np.empty(1 << DIGIT_BITS, np.int64)
    for shift in range(POSITION_BITS, POSITION_BITS + ID_BITS, DIGIT_BITS):
        for digit in range(starts.size):
            starts[digit] = 0
        for i in range(size):
            starts[items[i] >> shift & starts.size - 1] += 1
        start = 0
        for digit in range(starts.size):
            starts[digit], start = start, start + starts[digit]
        for i in range(size):
            digit = items[i] >> shift & starts.size - 1
            other[starts[digit]] = items[i]
            starts[digit] += 1
        items, other = other, items
    return items


@kernel()
def push(heap, size, rank, position):
    """Add the pair at `position`, unless it cannot be merged; returns the new size of the min-heap."""
    if rank == NO_MERGE:
        return size
    item = np.int64(rank) << POSITION_BITS | position
    i = size
    while i > 0 and item < heap[(i - 1) >> 1]:
        heap[i] = heap[(i - 1) >> 1]
        i = (i - 1) >> 1
    heap[i] = item
    return size + 1


@kernel()
def remove_first(heap, size):
    """Drop the smallest item; returns the new size."""
    size -= 1
    item = heap[size]
    i = 0
    while 2 * i + 1 < size:
        child = 2 * i + 1
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if item <= heap[child]:
            break
        heap[i] = heap[child]
        i = child
    heap[i] = item
    return size
