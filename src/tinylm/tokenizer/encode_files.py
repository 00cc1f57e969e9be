"""Files to blocks of token ids, in constant memory and several processes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinylm.tokenizer.processes import map_in_order
from tinylm.tokenizer.special import SpecialSplitter
from tinylm.tokenizer.text_stream import Block, Invalid, read_blocks
from tinylm.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class EncodedBlock:
    """Consecutive token ids of the inputs."""

    ids: NDArray[np.uint32]
    document_starts: NDArray[np.intp]
    """Where in `ids` a document begins: at a file's first token, and after each special token."""
    bytes_read: int
    """Bytes of all inputs read by now."""


def encode_files(
    paths: Sequence[str | Path],
    tokenizer: Tokenizer,
    *,
    invalid: Invalid = "error",
    num_workers: int | None = None,
) -> Iterator[EncodedBlock]:
    """The ids of all inputs, in order. No pre-token crosses from one file to the next; special tokens are recognised.

    Raises: TinylmError when an input is missing, empty or not UTF-8, or a worker is killed.
    """
    special_ids = np.array(list(tokenizer.special_token_ids.values()), dtype=np.uint32)
    encode = partial(encode_block, tokenizer)
    blocks = read_blocks(paths, SpecialSplitter(tokenizer.special_tokens), tokenizer.pattern, invalid)
    after_special = True
    for block, ids in map_in_order(encode, blocks, num_workers):
        is_special = np.isin(ids, special_ids)
        starts = np.concatenate([[block.starts_file or after_special], is_special[:-1]])
        after_special = bool(is_special[-1])
        yield EncodedBlock(ids, np.flatnonzero(starts), block.bytes_read)


def encode_block(tokenizer: Tokenizer, block: Block) -> NDArray[np.uint32]:
    """The ids of one block."""
    return np.array(tokenizer.encode(block.text), dtype=np.uint32)
