"""The heart of BPE training: find the most frequent pair, merge it everywhere, repeat."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

Pair = tuple[int, int]

NUM_BYTES = 256


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
    """Distinct pre-tokens as sequences of token ids, with the count of every adjacent pair kept up to date."""

    def __init__(self, counts: Mapping[bytes, int]) -> None:
        self.pair_counts: dict[Pair, int] = defaultdict(int)
        self._words = [list(word) for word in counts]
        self._counts = list(counts.values())
        self._occurrences: dict[Pair, set[int]] = defaultdict(set)  # words that have the pair, or had it once
        for index, word in enumerate(self._words):
            for neighbours in pairwise(word):
                self.pair_counts[neighbours] += self._counts[index]
                self._occurrences[neighbours].add(index)

    def merge(self, pair: Pair, new_token: int) -> Iterable[tuple[Pair, int]]:
        """Replace `pair` by `new_token` in every word; returns the pairs that came into being, with their counts."""
        created: set[Pair] = set()
        for index in self._occurrences.pop(pair):
            word, count = self._words[index], self._counts[index]
            merged = merge_pair(word, pair, new_token)
            for neighbours in pairwise(word):
                self.pair_counts[neighbours] -= count
            for neighbours in pairwise(merged):
                self.pair_counts[neighbours] += count
                if new_token in neighbours:
                    self._occurrences[neighbours].add(index)
                    created.add(neighbours)
            self._words[index] = merged
        return [(neighbours, self.pair_counts[neighbours]) for neighbours in created]


def merge_pair(word: Sequence[int], pair: Pair, new_token: int) -> list[int]:
    """`word` with `pair` replaced from left to right: (1, 1, 1) with (1, 1) -> 9 is (9, 1)."""
    merged = []
    i = 0
    while i < len(word):
        if i + 1 < len(word) and (word[i], word[i + 1]) == pair:
            merged.append(new_token)
            i += 2
        else:
            merged.append(word[i])
            i += 1
    return merged


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
