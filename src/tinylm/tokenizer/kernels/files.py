"""Files through the kernels: chunks cut from them, worked on in threads, results in order."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from tinylm.tokenizer.encoded import BEGINNING, EncodedBlock, Position
from tinylm.tokenizer.kernels.chunks import Chunk, InvalidTextError, read_chunks
from tinylm.tokenizer.kernels.counter import PretokenCounter
from tinylm.tokenizer.kernels.cuts import Specials, new_specials
from tinylm.tokenizer.kernels.parallel import map_in_order
from tinylm.tokenizer.kernels.text_encoder import EncodedChunk, TextEncoder
from tinylm.tokenizer.sources import Source
from tinylm.tokenizer.text_stream import Invalid, no_text, not_utf8
from tinylm.tokenizer.word_counts import WordCounts

CHUNK_BYTES = 1 << 20
"""Enough to keep a thread busy for some milliseconds, and little to hold for each."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class SourceChunk:
    """A chunk and where it comes from."""

    chunk: Chunk
    source: Source
    stop: Position
    """Where it ends."""
    bytes_read: int
    """Bytes of all sources up to there."""


def count_files(
    sources: Sequence[Source],
    special_tokens: Sequence[str],
    *,
    invalid: Invalid,
    num_threads: int,
    on_bytes: Callable[[int], None],
) -> WordCounts:
    """Count the pre-tokens of all sources; special tokens bound them and are not counted themselves.

    Raises: TinylmError when an input is missing, empty or not UTF-8.
    """
    specials = new_specials(dict.fromkeys(special_tokens, 0))
    counters = [PretokenCounter() for _ in range(num_threads)]

    def count(counter: PretokenCounter, item: SourceChunk) -> None:
        with_valid_text(item, invalid, lambda chunk: counter.add_chunk(chunk, specials))

    for item, _ in map_in_order(count, chunks_of(sources, specials), counters):
        on_bytes(item.bytes_read)
    for other in counters[1:]:
        counters[0].add_words(other.words())
    return counters[0].words()


def encode_files(
    sources: Sequence[Source], encoders: Sequence[TextEncoder], *, invalid: Invalid, start: Position = BEGINNING
) -> Iterator[EncodedBlock]:
    """The ids of all sources from `start` on, in order, with a thread for each encoder; special tokens are recognised.

    Raises: TinylmError when an input is missing, empty or not UTF-8.
    """
    specials = encoders[0].vocabulary.specials

    def encode(encoder: TextEncoder, item: SourceChunk) -> EncodedChunk:
        return with_valid_text(item, invalid, encoder.encode)

    special_bytes = specials.tokens()
    for item, (ids, special_stops) in map_in_order(encode, chunks_of(sources, specials, start), encoders):
        if item.chunk.position == 0:
            begins = item.source.start == 0 or item.source.follows_one_of(special_bytes)
        starts = special_stops[special_stops < len(ids)]
        yield EncodedBlock(ids, np.concatenate([[0], starts]) if begins else starts, item.bytes_read, item.stop)
        begins = starts.size < special_stops.size


def chunks_of(sources: Sequence[Source], specials: Specials, start: Position = BEGINNING) -> Iterator[SourceChunk]:
    """The text of all sources from `start` on, in chunks.

    Raises: TinylmError when there is no text at all, or one of the inputs cannot be read.
    """
    bytes_before = 0
    for number, source in enumerate(sources):
        if number < start.source:
            bytes_before += source.size_bytes or 0
            continue
        part = replace(source, start=max(source.start, start.offset)) if number == start.source else source
        bytes_before += part.start - source.start
        end = 0
        with part.open() as stream:
            for chunk in read_chunks(stream, specials, CHUNK_BYTES):
                end = chunk.position + chunk.size
                yield SourceChunk(chunk, part, Position(number, part.start + end), bytes_before + end)
        bytes_before += end
    if not bytes_before:
        raise no_text(sources)


def with_valid_text(item: SourceChunk, invalid: Invalid, work: Callable[[Chunk], Result]) -> Result:
    """Do the work on a chunk, with U+FFFD in place of what is not UTF-8, or an error that says where that is."""
    chunk = item.chunk
    if invalid == "replace":
        chunk = Chunk.of(chunk.tobytes().decode(errors="replace").encode(), chunk.position)
    try:
        return work(chunk)
    except InvalidTextError:
        try:
            chunk.tobytes().decode()
        except UnicodeDecodeError as error:
            raise not_utf8(item.source, chunk.position, error) from None
        raise
