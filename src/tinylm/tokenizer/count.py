"""The first stage of BPE training: how often each distinct pre-token occurs."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain

from tinylm.tokenizer.kernel_choice import prepare_kernels, suits_kernels
from tinylm.tokenizer.pretokenize import Pretokenize, pretokenizer
from tinylm.tokenizer.processes import available_cores, map_in_order
from tinylm.tokenizer.sources import Source
from tinylm.tokenizer.special import SpecialSplitter
from tinylm.tokenizer.text_stream import Block, Invalid, read_blocks
from tinylm.tokenizer.word_counts import CountSettings, WordCounts


def count_pretokens(
    sources: Sequence[Source],
    settings: CountSettings,
    *,
    invalid: Invalid = "error",
    num_threads: int | None = None,
    on_bytes: Callable[[int], None] = lambda _bytes_read: None,
    on_compile: Callable[[], None] = lambda: None,
) -> WordCounts:
    """Count the pre-tokens of all sources; special tokens bound them and are not counted themselves.

    Large inputs go through compiled kernels; `on_compile` is called if these have to be compiled first.

    Raises: TinylmError when an input is missing, empty or not UTF-8, or a worker is killed.
    """
    SpecialSplitter(settings.special_tokens)  # refuses what cannot be one
    if not suits_kernels(sources, settings.pattern, "train"):
        counts = count_in_python(sources, settings, invalid=invalid, num_workers=num_threads, on_bytes=on_bytes)
        return WordCounts.of(counts)
    prepare_kernels("train", on_compile)
    from tinylm.tokenizer.kernels.files import count_files

    num_threads = num_threads or available_cores()
    return count_files(sources, settings.special_tokens, invalid=invalid, num_threads=num_threads, on_bytes=on_bytes)


def count_in_python(
    sources: Sequence[Source],
    settings: CountSettings,
    *,
    invalid: Invalid = "error",
    num_workers: int | None = None,
    on_bytes: Callable[[int], None] = lambda _bytes_read: None,
) -> dict[bytes, int]:
    """`count_pretokens` for any pattern, in worker processes."""
    splitter = SpecialSplitter(settings.special_tokens)
    count = partial(count_block, splitter, pretokenizer(settings.pattern))
    total: Counter[str] = Counter()
    for block, counts in map_in_order(count, read_blocks(sources, splitter, settings.pattern, invalid), num_workers):
        total.update(counts)
        on_bytes(block.bytes_read)
    return {word.encode(): occurrences for word, occurrences in total.items()}


def count_block(splitter: SpecialSplitter, pretokenize: Pretokenize, block: Block) -> Counter[str]:
    """Count the pre-tokens of one block."""
    texts = (part for part in splitter.split(block.text) if part not in splitter.special_tokens)
    return Counter(chain.from_iterable(map(pretokenize, texts)))
