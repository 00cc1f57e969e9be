"""Pre-tokens to token ids: merges applied, and a memory of the results."""

import heapq
from collections.abc import Mapping, Sequence
from itertools import pairwise

from tinylm.errors import UsageError

Pair = tuple[int, int]
Merges = Mapping[Pair, tuple[int, int]]
"""A pair of ids -> (rank of its merge, id of the merged token)."""

END = -1

CACHED_WORDS = 1 << 17
CACHED_CHARACTERS = 64


class WordCache(dict[str, list[int]]):
    """Pre-token -> ids. A dict that computes what it lacks; it is emptied when full, and long pre-tokens stay out."""

    def __init__(self, byte_ids: Sequence[int], merges: Merges) -> None:
        super().__init__()
        self.byte_ids = byte_ids
        self.merges = merges

    def __missing__(self, word: str) -> list[int]:
        try:
            ids = apply_merges([self.byte_ids[byte] for byte in word.encode()], self.merges)
        except UnicodeEncodeError as error:
            raise UsageError(
                f"the text has half a surrogate pair, {word[error.start]!a}, which is no character"
            ) from None
        if len(word) <= CACHED_CHARACTERS:
            if len(self) >= CACHED_WORDS:
                self.clear()
            self[word] = ids
        return ids


def apply_merges(ids: Sequence[int], merges: Merges) -> list[int]:
    """Merge adjacent ids, always the pair of lowest rank and of those the leftmost, until no pair can be merged.

    Takes O(n log n), so that a megabyte of one letter is no trap: the tokens form a doubly linked list over their first
    positions, and a heap has an item for every mergeable pair that ever was adjacent, skipped if another is there now.
    An item is rank * size + position, a single number that sorts as wanted.
    """
    tokens, size = list(ids), len(ids)
    following = list(range(1, size + 1))
    preceding = list(range(-1, size - 1))
    found = [*map(merges.get, pairwise(tokens)), None]  # the merge of each token with the next one
    heap = [merge[0] * size + position for position, merge in enumerate(found) if merge]
    heapq.heapify(heap)
    while heap:
        rank, left = divmod(heapq.heappop(heap), size)
        merge = found[left]
        if not merge or merge[0] != rank:
            continue
        right = following[left]
        before, after = preceding[left], following[right]
        tokens[left], tokens[right] = merge[1], END
        found[left] = found[right] = None
        following[left] = after
        if after < size:
            preceding[after] = left
            if merge := merges.get((tokens[left], tokens[after])):
                found[left] = merge
                heapq.heappush(heap, merge[0] * size + left)
        if before >= 0:
            found[before] = merge = merges.get((tokens[before], tokens[left]))
            if merge:
                heapq.heappush(heap, merge[0] * size + before)
    return [token for token in tokens if token != END]
