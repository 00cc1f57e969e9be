"""What is worth knowing of a vocabulary: its longest tokens, and how it does on text that it was not learned from."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from tinylm.tokenizer import Tokenizer
    from tinylm.tokenizer.sources import Source

LONGEST = 10


class HeldOut(TypedDict):
    """How a vocabulary does on a text."""

    input_bytes: int
    num_tokens: int
    bytes_per_token: float
    vocab_share_used: float
    """Tokens that occur, of all tokens."""


def longest_tokens(merges: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """The longest learned tokens as text that is safe to show."""
    tokens = sorted((left + right for left, right in merges), key=len, reverse=True)
    return [printable(token) for token in tokens[:LONGEST]]


def printable(token: bytes) -> str:
    r"""Text with what is no character, and characters that control a terminal, as escapes: `b"\xc3\n"` -> `\xc3\n`."""
    text = token.decode(errors="backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def held_out_report(tokenizer: "Tokenizer", sources: "Sequence[Source]") -> HeldOut:
    """Encode a text for what it shows of the vocabulary."""
    import numpy as np

    from tinylm.tokenizer.encode_files import encode_files

    occurrences = np.zeros(tokenizer.vocab_size, np.int64)
    input_bytes = 0
    for block in encode_files(sources, tokenizer):
        occurrences += np.bincount(block.ids, minlength=tokenizer.vocab_size)
        input_bytes = block.bytes_read
    num_tokens = int(occurrences.sum())
    return {
        "input_bytes": input_bytes,
        "num_tokens": num_tokens,
        "bytes_per_token": input_bytes / num_tokens,
        "vocab_share_used": float(np.count_nonzero(occurrences) / len(tokenizer.vocab)),
    }
