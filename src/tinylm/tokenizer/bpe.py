"""Pre-tokens to token ids: merges applied, and a memory of the results."""

import heapq
from array import array
from bisect import insort
from collections.abc import Mapping, Sequence
from itertools import pairwise
from operator import neg

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
    positions, and each rank has the positions where a pair of that rank is or was, skipped if it is another by now.
    These are sorted when it is the rank's turn, after which more come only where merges are in an odd order. Arrays,
    lest a number an object each fill the processor's caches.
    """
    tokens, size = list(ids), len(ids)
    following = array("q", range(1, size + 1))
    preceding = array("q", range(-1, size - 1))
    found = [*map(merges.get, pairwise(tokens)), None]  # the merge of each token with the next one
    places: dict[int, list[int]] = {}  # by rank
    for position, merge in enumerate(found):
        if merge:
            places.setdefault(merge[0], []).append(position)
    ranks = list(places)
    heapq.heapify(ranks)
    begun: set[int] = set()  # ranks whose positions are sorted, the leftmost last

    def look(left: int, right: int) -> None:
        found[left] = merge = merges.get((tokens[left], tokens[right]))
        if not merge:
            return
        if merge[0] in begun:
            insort(places[merge[0]], left, key=neg)
        elif merge[0] in places:
            places[merge[0]].append(left)
        else:
            places[merge[0]] = [left]
            heapq.heappush(ranks, merge[0])

    while ranks:
        rank = ranks[0]
        waiting = places[rank]
        if rank not in begun:
            begun.add(rank)
            waiting.sort(reverse=True)
        while waiting and ranks[0] == rank:
            left = waiting.pop()
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
                look(left, after)
            if before >= 0:
                look(before, left)
        if ranks[0] == rank:
            heapq.heappop(ranks)
            begun.remove(rank)
            del places[rank]
    return [token for token in tokens if token != END]
