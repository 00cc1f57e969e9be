"""Text of any size in constant memory: bytes to characters, and blocks that can be tokenized on their own."""

import codecs
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import regex

from tinylm.errors import TinylmError
from tinylm.tokenizer.pretokenize import PATTERNS
from tinylm.tokenizer.sources import Source
from tinylm.tokenizer.special import SpecialSplitter

Invalid = Literal["error", "replace"]
"""What to do with bytes that are not UTF-8: stop, or read on with U+FFFD in their place."""

READ_BYTES = 1 << 20
BLOCK_CHARACTERS = 1 << 20

# Between these two characters every published pattern ends a pre-token, whatever comes before and after: none goes on
# from a letter to another class (marks and apostrophes aside), from a digit to anything else, or from what is not white
# space to white space (line ends aside, which cl100k and o200k attach to punctuation). The only parts that look ahead,
# \s+(?!\S) and \s++$, do so from white space, and no cut comes after white space.
SAFE_CUT = r"\p{L}(?=[^\p{L}\p{M}'])|\p{N}(?=\P{N})|\S(?=[^\S\r\n])"
BEFORE_SAFE_CUT: Any = regex.compile(SAFE_CUT)
BEFORE_LAST_SAFE_CUT: Any = regex.compile("(?r)" + SAFE_CUT)  # searches from the end


class TextReader:
    """The text of one input in pieces; `bytes_read` says how far it has come.

    Raises: TinylmError naming file and byte offset when a byte is not UTF-8 and `invalid` is "error".
    """

    def __init__(self, source: Source, invalid: Invalid = "error") -> None:
        self.source = source
        self.bytes_read = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict" if invalid == "error" else "replace")

    def __iter__(self) -> Iterator[str]:
        with self.source.open() as stream:
            while data := stream.read(READ_BYTES):
                text = self._decode(data)
                self.bytes_read += len(data)
                yield text
            yield self._decode(b"", final=True)

    def _decode(self, data: bytes, *, final: bool = False) -> str:
        held_back, _ = self._decoder.getstate()  # the first bytes of a character that the last piece cut through
        try:
            return self._decoder.decode(data, final)
        except UnicodeDecodeError as error:
            raise not_utf8(self.source, self.bytes_read - len(held_back), error) from None


def not_utf8(source: Source, bytes_before: int, error: UnicodeDecodeError) -> TinylmError:
    """The error of a source in which decoding what follows `bytes_before` bytes has failed."""
    return TinylmError(
        f"{source}: not UTF-8 at byte {source.start + bytes_before + error.start:,} "
        f"(0x{error.object[error.start]:02x}); --invalid replace reads on with U+FFFD in its place"
    )


@dataclass(frozen=True)
class Block:
    """Text whose tokens do not depend on what surrounds it."""

    text: str
    source: Source
    starts_source: bool
    bytes_read: int
    """Bytes of all sources read by the time this block was cut."""


def read_blocks(
    sources: Sequence[Source], splitter: SpecialSplitter, pattern: str, invalid: Invalid = "error"
) -> Iterator[Block]:
    """The text of all sources, in order, in blocks; no block holds text of two files.

    Raises: TinylmError when there is no text at all, or one of the inputs cannot be read.
    """
    bytes_before = 0
    for source in sources:
        reader = TextReader(source, invalid)
        starts_source = True
        for text in safe_blocks(reader, splitter, pattern, BLOCK_CHARACTERS):
            yield Block(text, source, starts_source, bytes_before + reader.bytes_read)
            starts_source = False
        bytes_before += reader.bytes_read
    if not bytes_before:
        raise no_text(sources)


def no_text(sources: Sequence[Source]) -> TinylmError:
    """The error of inputs that are all empty."""
    return TinylmError(f"{', '.join(map(str, sources))}: empty, there is no text in it")


def safe_blocks(pieces: Iterable[str], splitter: SpecialSplitter, pattern: str, size: int) -> Iterator[str]:
    """Regroup a text into blocks of about `size` characters whose tokens, one after the other, are the whole text's.

    A pattern of the user's own can look anywhere, so its blocks are whole documents, as long as they may be.
    """
    buffer = ""
    wanted = size
    for piece in pieces:
        buffer += piece
        if len(buffer) < wanted:
            continue
        cut = last_safe_cut(buffer, splitter, inside_documents=pattern in PATTERNS)
        if cut:
            yield buffer[:cut]
            buffer = buffer[cut:]
        wanted = size if cut else 2 * len(buffer)  # doubling keeps the searches linear in all
    if buffer:
        yield buffer


def last_safe_cut(text: str, splitter: SpecialSplitter, *, inside_documents: bool) -> int:
    """The last place to cut such that no continuation changes a token before it; 0 when there is none."""
    horizon = len(text) - max(splitter.longest - 1, 0)  # a special token that begins before it is all in sight
    document = 0
    for start, stop in splitter.spans(text):
        if start >= horizon:
            break
        document = stop
    if inside_documents and (
        match := BEFORE_LAST_SAFE_CUT.search(text, document, max(document, min(horizon + 1, len(text))))
    ):
        return int(match.end())
    return document
