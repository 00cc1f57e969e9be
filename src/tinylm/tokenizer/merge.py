"""The heart of BPE training: find the most frequent pair, merge it everywhere, repeat."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

Pair = tuple[int, int]

NUM_BYTES = 256
NO_TOKEN = -1
"""Between words, and where a token began until it was merged with the one on its left."""


def merge_words(counts: Mapping[bytes, int], num_merges: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield up to `num_merges` merges, best first, learned from pre-tokens and how often each occurs.

    The best pair is the most frequent; among equals, the lexicographically greatest pair of byte strings. Fewer merges
    come out when every pre-token has become a single token. Sennrich et al., arXiv 1508.07909, on bytes.
    """
    tokens = [bytes([byte]) for byte in range(NUM_BYTES)]
    words = Words(counts)
    queue = PairQueue(tokens)
    queue.push(words.pair_counts.items())
    for _ in range(num_merges):
        pair = queue.pop_best(words.pair_counts)
        if pair is None:
            return
        left, right = tokens[pair[0]], tokens[pair[1]]
        yield left, right
        tokens.append(left + right)
        queue.add_token(left + right)
        queue.push(words.merge(pair, new_token=len(tokens) - 1))


class Words:
    """Distinct pre-tokens as linked lists of token ids, with the count of every adjacent pair kept up to date.

    All stand in one list, a token where its first byte was, so that a merge goes to the places of its pair and no
    others: a megabyte without a space is one word.
    """

    def __init__(self, counts: Mapping[bytes, int]) -> None:
        self.pair_counts: dict[Pair, int] = defaultdict(int)
        self._tokens: list[int] = []
        self._counts: list[int] = []  # of the word, at each of its places
        self._occurrences: dict[Pair, list[int]] = defaultdict(list)  # where the pair begins, or began once; ascending
        for word, count in counts.items():
            for place, neighbours in enumerate(pairwise(word), start=len(self._tokens)):
                self.pair_counts[neighbours] += count
                self._occurrences[neighbours].append(place)
            self._tokens += [*word, NO_TOKEN]
            self._counts += [count] * (len(word) + 1)
        self._following = list(range(1, len(self._tokens) + 1))
        self._preceding = list(range(-1, len(self._tokens) - 1))  # the place before the first one is the last one

    def merge(self, pair: Pair, new_token: int) -> Iterable[tuple[Pair, int]]:
        """Replace `pair` by `new_token`, from left to right; returns the pairs that came into being, with their counts.

        "aaa" with "aa" -> X becomes "Xa": the second place of "aa" is none any more when its turn comes.
        """
        tokens, created = self._tokens, set[Pair]()
        for left in self._occurrences.pop(pair):
            right = self._following[left]
            if (tokens[left], tokens[right]) != pair:
                continue
            before, after, count = self._preceding[left], self._following[right], self._counts[left]
            for neighbours in (pair, (tokens[before], pair[0]), (pair[1], tokens[after])):
                if NO_TOKEN not in neighbours:
                    self.pair_counts[neighbours] -= count
            tokens[left], tokens[right] = new_token, NO_TOKEN
            self._following[left], self._preceding[after] = after, left
            for place, neighbours in ((before, (tokens[before], new_token)), (left, (new_token, tokens[after]))):
                if NO_TOKEN not in neighbours:
                    self.pair_counts[neighbours] += count
                    self._occurrences[neighbours].append(place)
                    created.add(neighbours)
        return [(neighbours, self.pair_counts[neighbours]) for neighbours in created if self.pair_counts[neighbours]]


class PairQueue:
    """A max-heap of pairs that is corrected lazily: a count that has sunk is noticed when its entry comes up."""

    def __init__(self, tokens: Iterable[bytes]) -> None:
        self._keys = [descending(token) for token in tokens]
        self._heap: list[tuple[int, str, str, Pair]] = []

    def add_token(self, token: bytes) -> None:
        """Tell the bytes of the next token id, which break ties."""
        self._keys.append(descending(token))

    def push(self, pairs: Iterable[tuple[Pair, int]]) -> None:
        """Enter pairs with their counts, each once, after the merge that creates it; from then on it only sinks."""
        for (left, right), count in pairs:
            heapq.heappush(self._heap, (-count, self._keys[left], self._keys[right], (left, right)))

    def pop_best(self, counts: Mapping[Pair, int]) -> Pair | None:
        """The most frequent pair by its present count, or None when no pair is left."""
        while self._heap:
            negative_count, *_, pair = heapq.heappop(self._heap)
            if counts[pair] == -negative_count:
                return pair
            if counts[pair]:
                self.push([(pair, counts[pair])])
        return None


def descending(token: bytes) -> str:
    """A key that sorts from the lexicographically greatest token to the least: of "a" and "ab", "ab" comes first."""
    return "".join(chr(NUM_BYTES - 1 - byte) for byte in token) + chr(NUM_BYTES)
