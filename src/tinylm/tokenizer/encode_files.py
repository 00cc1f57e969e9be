"""Files to blocks of token ids, in constant memory and on several cores."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tinylm.tokenizer.encoded import BEGINNING, EncodedBlock, Position
from tinylm.tokenizer.kernel_choice import LARGEST_VOCAB_SIZE, prepare_kernels, suits_kernels
from tinylm.tokenizer.processes import available_cores, map_in_order
from tinylm.tokenizer.sources import Source
from tinylm.tokenizer.special import SpecialSplitter
from tinylm.tokenizer.text_stream import Block, Invalid, read_blocks
from tinylm.tokenizer.tokenizer import Tokenizer

if TYPE_CHECKING:
    from tinylm.tokenizer.kernels.compilation import Part


def encode_files(
    sources: Sequence[Source],
    tokenizer: Tokenizer,
    *,
    invalid: Invalid = "error",
    num_threads: int | None = None,
    start: Position = BEGINNING,
    on_compile: Callable[[], None] = lambda: None,
) -> Iterator[EncodedBlock]:
    """The ids of all sources, in order. No pre-token crosses from one file to the next; special tokens are recognised.

    Large inputs go through compiled kernels; `on_compile` is called if these have to be compiled first. `start` is the
    position of a block that an earlier call has yielded.

    Raises: TinylmError when an input is missing, empty or not UTF-8, or a worker is killed.
    """
    part: Part = "encode-uint16" if tokenizer.vocab_size <= 1 << 16 else "encode-uint32"
    if tokenizer.vocab_size > LARGEST_VOCAB_SIZE or not suits_kernels(sources, tokenizer.pattern, part):
        yield from encode_in_python(sources, tokenizer, invalid=invalid, num_workers=num_threads)
        return
    prepare_kernels(part, on_compile)
    from tinylm.tokenizer.kernels import files
    from tinylm.tokenizer.kernels.text_encoder import TextEncoder

    encoders = [TextEncoder(tokenizer.kernel_vocabulary) for _ in range(num_threads or available_cores())]
    yield from files.encode_files(sources, encoders, invalid=invalid, start=start)


def encode_in_python(
    sources: Sequence[Source], tokenizer: Tokenizer, *, invalid: Invalid = "error", num_workers: int | None = None
) -> Iterator[EncodedBlock]:
    """`encode_files` for any pattern, in worker processes."""
    special_tokens = [token.encode() for token in tokenizer.special_tokens]
    special_ids = np.array(list(tokenizer.special_token_ids.values()), dtype=np.uint32)
    encode = partial(encode_block, tokenizer)
    blocks = read_blocks(sources, SpecialSplitter(tokenizer.special_tokens), tokenizer.pattern, invalid)
    begins = False
    for block, ids in map_in_order(encode, blocks, num_workers):
        if block.starts_source:
            begins = block.source.start == 0 or block.source.follows_one_of(special_tokens)
        is_special = np.isin(ids, special_ids)
        starts = np.concatenate([[begins], is_special[:-1]])
        begins = bool(is_special[-1])
        yield EncodedBlock(ids, np.flatnonzero(starts), block.bytes_read, None)


def encode_block(tokenizer: Tokenizer, block: Block) -> NDArray[np.uint32]:
    """The ids of one block."""
    return np.array(tokenizer.encode(block.text), dtype=np.uint32)
