"""The merge loop of BPE training over distinct words, without ever going through all of them again.

All words lie one after the other in one array, a boundary between any two. A token is where its first byte is; its
length stands at its first and at its last byte, so that both neighbours are one step away, as with the boundary tags of
a memory allocator. Each pair has a list of the positions where it was seen. Two facts keep the bookkeeping small:

  * Once the merge that brings a pair about is over, the pair only loses occurrences: a new one would need a new left or
    right token. So a count in the heap is never too low, and it is enough to correct it when it comes out first.
  * A merge that makes token c brings about pairs with c and no others. Grouping the neighbours of all its
    occurrences gives each new pair its count and its list of positions at once; there is no table of pairs.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinylm.errors import TinylmError
from tinylm.tokenizer.kernels.intrinsics import prefetch
from tinylm.tokenizer.kernels.kernel import kernel
from tinylm.tokenizer.kernels.keys import aligned_zeros
from tinylm.tokenizer.kernels.pair_heap import (
    PairHeap,
    PairTokens,
    TokenBytes,
    prefix_of,
    push,
    remove_first,
    replace_first,
)
from tinylm.tokenizer.word_counts import WordCounts

NUM_BYTES = 256
LARGEST_ROOM = np.iinfo(np.int32).max
BOUNDARY = -1
GONE = -2
"""Where a token began until it was merged with the one on its left."""

LEFT, RIGHT = 0, 1

AHEAD = 16
"""How many positions before it is needed one is fetched from memory."""


class Words(NamedTuple):
    """The distinct words as sequences of tokens, by position.

    What is known of a position is asked for together and stands together: the three are columns of `cells`.
    """

    cells: npt.NDArray[np.int64]
    tokens: npt.NDArray[np.int32]
    """The token that begins here, GONE inside a token, BOUNDARY around words."""
    lengths: npt.NDArray[np.int32]
    """Bytes of the token that begins or ends here; meaningless inside it."""
    weights: npt.NDArray[np.int64]
    """How often the word that this position is in occurs in the text."""


class Occurrences(NamedTuple):
    """Where each pair was seen: `positions[begin[i]:begin[i] + size[i]]`, ascending, for pair number i."""

    positions: npt.NDArray[np.int32]
    begin: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]


class Neighbours(NamedTuple):
    """What stands on one side of the pair being merged, by token; zeros between uses."""

    weight: npt.NDArray[np.int64]
    number: npt.NDArray[np.int64]
    seen: npt.NDArray[np.int32]


class MergeState(NamedTuple):
    """Everything that the merge loop works on; see `new_state`."""

    words: Words
    strings: TokenBytes
    ends: PairTokens
    occurrences: Occurrences
    heap: PairHeap
    neighbours: Neighbours
    merges: npt.NDArray[np.int32]
    """`(num_merges, 2)`: the left and the right token of each merge."""
    used: npt.NDArray[np.int64]
    """How many pairs, positions and tokens there are."""


PAIRS, POSITIONS, TOKENS = range(3)


def learn_merges(words: WordCounts, num_merges: int, slice_size: int = 1000) -> Iterator[npt.NDArray[np.int32]]:
    """Yield the merges learned from words and their counts, some at a time.

    Each is a pair of token ids: bytes are 0 to 255, and merge i makes token 256 + i. The best pair is the most
    frequent, among equals the lexicographically greatest; fewer than `num_merges` come when every word is one token.
    """
    state = new_state(words, num_merges)
    done = 0
    while done < num_merges:
        merge_best(state, min(done + slice_size, num_merges))
        found = int(state.used[TOKENS]) - NUM_BYTES
        if found == done:
            return
        yield state.merges[done:found]
        done = found


def new_state(words: WordCounts, num_merges: int) -> MergeState:
    """Every byte a token, and the pairs of bytes in the heap.

    The arrays of pairs and positions have room for whatever can happen, since a merge removes a token and makes at most
    two new pairs; the system gives memory only to the part that is written.

    Raises: TinylmError when there are more than positions of 32 bits can tell apart.
    """
    size = words.data.size + words.counts.size + 1
    room = 3 * size + 1
    if room > LARGEST_ROOM:
        raise TinylmError(
            f"{words.data.size:,} bytes of different pre-tokens are more than can be learned from, "
            f"some {LARGEST_ROOM // 3:,}; take a part of the text"
        )
    num_tokens = NUM_BYTES + num_merges
    state = MergeState(
        words=new_words(size),
        strings=TokenBytes(
            np.empty(size + 8, np.uint8),
            np.zeros(num_tokens, np.int64),
            np.zeros(num_tokens, np.int64),
            np.zeros(num_tokens, np.uint64),
        ),
        ends=PairTokens(np.empty(room, np.int32), np.empty(room, np.int32)),
        occurrences=Occurrences(np.empty(room, np.int32), np.empty(room, np.int64), np.empty(room, np.int64)),
        heap=PairHeap(np.empty(room, np.int64), np.empty(room, np.int32), np.zeros(1, np.int64)),
        neighbours=Neighbours(
            np.zeros(num_tokens, np.int64), np.zeros(num_tokens, np.int64), np.empty(num_tokens, np.int32)
        ),
        merges=np.empty((num_merges, 2), np.int32),
        used=np.array([0, 0, NUM_BYTES], np.int64),
    )
    lay_out(state, words)
    add_byte_pairs(state)
    return state


def new_words(size: int) -> Words:
    """So many positions, all of them boundaries."""
    cells = aligned_zeros(2 * size, np.int64)
    halves, wholes = cells.view(np.int32).reshape(size, 4), cells.reshape(size, 2)
    words = Words(cells, tokens=halves[:, 0], lengths=halves[:, 1], weights=wholes[:, 1])
    words.tokens[:] = BOUNDARY
    words.lengths[:] = 1
    return words


@kernel()
def lay_out(state, word_counts):
    """Copy the words into place, every byte a token."""
    words, strings = state.words, state.strings
    data, offsets, counts = word_counts
    at = 1
    for word in range(counts.size):
        for i in range(offsets[word], offsets[word + 1]):
            byte = data[i]
            words.tokens[at], words.weights[at], strings.data[at] = byte, counts[word], byte
            strings.at[byte], strings.length[byte], strings.prefix[byte] = at, 1, np.uint64(byte) << np.uint64(56)
            at += 1
        at += 1


@kernel(_nrt=True)
def add_byte_pairs(state):
    """Find the positions of every pair of bytes, by counting and then placing them, and enter the pairs."""
    tokens, weights = state.words.tokens, state.words.weights
    number, weight = np.zeros(NUM_BYTES * NUM_BYTES, np.int64), np.zeros(NUM_BYTES * NUM_BYTES, np.int64)
    for at in range(tokens.size - 1):
        if tokens[at] >= 0 and tokens[at + 1] >= 0:
            code = tokens[at] * NUM_BYTES + tokens[at + 1]
            number[code] += 1
            weight[code] += weights[at]
    cursor = np.zeros(NUM_BYTES * NUM_BYTES, np.int64)
    for code in range(number.size):
        if number[code] > 0:
            cursor[code] = add_pair(state, code // NUM_BYTES, code % NUM_BYTES, number[code], weight[code])
    for at in range(tokens.size - 1):
        if tokens[at] >= 0 and tokens[at + 1] >= 0:
            code = tokens[at] * NUM_BYTES + tokens[at + 1]
            state.occurrences.positions[cursor[code]] = at
            cursor[code] += 1


@kernel()
def add_pair(state, left, right, number, weight):
    """Enter a new pair with its count; returns where in the positions its `number` positions are to be written."""
    pair, begin = state.used[PAIRS], state.used[POSITIONS]
    state.ends.left[pair], state.ends.right[pair] = left, right
    state.occurrences.begin[pair], state.occurrences.size[pair] = begin, number
    state.used[PAIRS] += 1
    state.used[POSITIONS] += number
    push(state.heap, weight, pair, state.ends, state.strings)
    return begin


@kernel()
def merge_best(state, stop):
    """Merge the best pair again and again, until there are `stop` merges or no pairs."""
    heap, used = state.heap, state.used
    while heap.size[0] > 0 and used[TOKENS] < NUM_BYTES + stop:
        pair = heap.pairs[0]
        count = recount(state, pair)
        if count == heap.counts[0]:
            remove_first(heap, state.ends, state.strings)
            merge(state, pair)
        elif count > 0:
            replace_first(heap, count, pair, state.ends, state.strings)
        else:
            remove_first(heap, state.ends, state.strings)


@kernel()
def recount(state, pair):
    """How often the pair occurs now. Positions where it no longer does are dropped from its list."""
    words, positions = state.words, state.occurrences.positions
    left, right = state.ends.left[pair], state.ends.right[pair]
    begin, size = state.occurrences.begin[pair], state.occurrences.size[pair]
    kept, count = begin, 0
    for i in range(begin, begin + size):
        prefetch_cell(words, positions, i + AHEAD, begin + size)
        at = positions[i]
        if words.tokens[at] == left and words.tokens[at + words.lengths[at]] == right:
            positions[kept] = at
            kept += 1
            count += words.weights[at]
    state.occurrences.size[pair] = kept - begin
    return count


@kernel()
def merge(state, pair):
    """Make a token of the pair, everywhere, and enter the pairs that the new token has with its neighbours."""
    token = state.used[TOKENS]
    left, right = state.ends.left[pair], state.ends.right[pair]
    state.used[TOKENS] += 1
    state.merges[token - NUM_BYTES, 0], state.merges[token - NUM_BYTES, 1] = left, right
    begin = state.occurrences.begin[pair]
    stop = join_occurrences(state, pair, token)
    name_token(state, token, state.occurrences.positions[begin])
    add_neighbours(state, begin, stop, token, LEFT)
    add_neighbours(state, begin, stop, token, RIGHT)


@kernel()
def join_occurrences(state, pair, token):
    """Put `token` wherever the pair stands, from left to right; its positions take the place of the pair's.

    Returns where in the array of positions they end.
    """
    words, positions = state.words, state.occurrences.positions
    left, right = state.ends.left[pair], state.ends.right[pair]
    begin, size = state.occurrences.begin[pair], state.occurrences.size[pair]
    kept = begin
    for i in range(begin, begin + size):
        prefetch_cell(words, positions, i + AHEAD, begin + size)
        at = positions[i]
        if words.tokens[at] != left:  # in "aaa" the first merge of "aa" has taken the second one's first half
            continue
        next_at = at + words.lengths[at]
        if words.tokens[next_at] != right:
            continue
        length = words.lengths[at] + words.lengths[next_at]
        words.tokens[at], words.tokens[next_at] = token, GONE
        words.lengths[at], words.lengths[at + length - 1] = length, length
        positions[kept] = at
        kept += 1
    return kept


@kernel()
def name_token(state, token, at):
    """Remember the bytes of a new token that stands at position `at`."""
    strings = state.strings
    strings.at[token], strings.length[token] = at, state.words.lengths[at]
    strings.prefix[token] = prefix_of(strings.data, at, strings.length[token])


@kernel()
def add_neighbours(state, begin, stop, token, side):
    """Enter the pairs of the new `token` with what stands on one side of it, given where its positions stand.

    Two new tokens side by side are one pair: it is entered as the second one's left side.
    """
    weight, number, seen = state.neighbours
    positions = state.occurrences.positions
    num_seen = 0
    for i in range(begin, stop):
        at = positions[i]
        other, _ = neighbour(state.words, at, side)
        if other < 0 or (side == RIGHT and other == token):
            continue
        if number[other] == 0:
            seen[num_seen] = other
            num_seen += 1
        number[other] += 1
        weight[other] += state.words.weights[at]
    for i in range(num_seen):
        other = seen[i]
        left, right = (other, token) if side == LEFT else (token, other)
        number[other] = add_pair(state, left, right, number[other], weight[other])  # from here on, where to write
    for i in range(begin, stop):
        at = positions[i]
        other, pair_at = neighbour(state.words, at, side)
        if other < 0 or (side == RIGHT and other == token):
            continue
        positions[number[other]] = pair_at
        number[other] += 1
    for i in range(num_seen):
        other = seen[i]
        number[other] = weight[other] = 0


@kernel(forceinline=True)
def prefetch_cell(words, positions, i, stop):
    """Begin to bring near what is known of position number `i`, or of the last one before `stop`."""
    prefetch(words.cells, 2 * np.int64(positions[min(i, stop - 1)]))


@kernel(forceinline=True)
def neighbour(words, at, side):
    """The token on one side of the token at `at`, negative for none, and where the pair of the two begins."""
    if side == LEFT:
        before = at - words.lengths[at - 1]
        return words.tokens[before], before
    return words.tokens[at + words.lengths[at]], at
