"""Pre-tokens to token ids: merges applied, and a memory of the results."""

import heapq
from collections.abc import Mapping, Sequence

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
    positions, and a heap has an entry for every mergeable pair that ever was adjacent, skipped if they have changed.
    """
    tokens = list(ids)
    following = [*range(1, len(tokens)), END]
    preceding = list(range(-1, len(tokens) - 1))
    heap: list[tuple[int, int, Pair]] = []

    def push(left: int, right: int) -> None:
        if left != END and right != END and (merge := merges.get((tokens[left], tokens[right]))):
            heapq.heappush(heap, (merge[0], left, (tokens[left], tokens[right])))

    for position in range(len(tokens) - 1):
        push(position, position + 1)
    while heap:
        _, left, pair = heapq.heappop(heap)
        right = following[left]
        if right == END or (tokens[left], tokens[right]) != pair:
            continue
        tokens[left] = merges[pair][1]
        tokens[right] = END
        following[left] = following[right]
        if following[left] != END:
            preceding[following[left]] = left
        push(preceding[left], left)
        push(left, following[left])
    return [token for token in tokens if token != END]
