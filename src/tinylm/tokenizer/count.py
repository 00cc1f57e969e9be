"""The first stage of BPE training: how often each distinct pre-token occurs."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from tinylm.tokenizer.pretokenize import Pretokenize, pretokenizer
from tinylm.tokenizer.processes import map_in_order
from tinylm.tokenizer.special import SpecialSplitter
from tinylm.tokenizer.text_stream import Block, Invalid, read_blocks


def count_pretokens(
    paths: Sequence[str | Path],
    special_tokens: Sequence[str] = (),
    pattern: str = "gpt2",
    *,
    invalid: Invalid = "error",
    num_workers: int | None = None,
    on_bytes: Callable[[int], None] = lambda _bytes_read: None,
) -> dict[bytes, int]:
    """Count the pre-tokens of all inputs; special tokens bound them and are not counted themselves.

    Raises: TinylmError when an input is missing, empty or not UTF-8, or a worker is killed.
    """
    splitter = SpecialSplitter(special_tokens)
    count = partial(count_block, splitter, pretokenizer(pattern))
    total: Counter[str] = Counter()
    for block, counts in map_in_order(count, read_blocks(paths, splitter, pattern, invalid), num_workers):
        total.update(counts)
        on_bytes(block.bytes_read)
    return {word.encode(): occurrences for word, occurrences in total.items()}


def count_block(splitter: SpecialSplitter, pretokenize: Pretokenize, block: Block) -> Counter[str]:
    """Count the pre-tokens of one block."""
    texts = (part for part in splitter.split(block.text) if part not in splitter.special_tokens)
    return Counter(chain.from_iterable(map(pretokenize, texts)))
