"""Text into pre-tokens, the units that merges never cross: roughly a word with the space before it."""

import difflib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import regex

from tinylm.errors import TinylmError, UsageError

GPT2 = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""

# As tiktoken has it, but for its {1,3}+, which Oniguruma (in tokenizer.json) takes for "one to three, repeated".
CL100K = (
    r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}"""
    r"""| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
)

O200K = (
    r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"""
    r"""|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"""
    r"""|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
)

PATTERNS = {"gpt2": GPT2, "cl100k": CL100K, "o200k": O200K}
"""The published patterns; each matches every character of every text, so that nothing is lost between matches."""

TIMEOUT_SECONDS = 10.0
SLOWEST_CHARACTERS_PER_SECOND = 100_000

Pretokenize = Callable[[str], Iterable[str]]


def pretokenizer(pattern: str) -> Pretokenize:
    """The function that splits text without special tokens into pre-tokens: concatenated, they are the text.

    `pattern` is a name in `PATTERNS` or a regular expression, where what lies between two matches is a pre-token too.

    Raises: UsageError when it is neither; TinylmError from the function when a match takes too long.
    """
    if pattern in PATTERNS:
        findall: Pretokenize = regex.compile(PATTERNS[pattern]).findall
        return findall
    return partial(matches_and_gaps, compile_expression(pattern))


def compile_expression(pattern: str) -> Any:
    """A pattern of the user's own. A bare word is a misspelt name rather than a pattern that matches that word."""
    if regex.fullmatch(r"[\w-]*", pattern):
        close = difflib.get_close_matches(pattern, PATTERNS, n=1)
        guess = f"; did you mean {close[0]!r}?" if close else ""
        raise UsageError(
            f"no pattern named {pattern!r}{guess}; there are {', '.join(PATTERNS)}, or a regular expression"
        )
    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise UsageError(f"pattern {pattern!r} is not a regular expression: {error}") from error


def matches_and_gaps(expression: Any, text: str) -> Iterator[str]:
    """Every match that is not empty, and the text between matches."""
    end = 0
    timeout = TIMEOUT_SECONDS + len(text) / SLOWEST_CHARACTERS_PER_SECOND
    try:
        for match in expression.finditer(text, timeout=timeout):
            start, stop = match.span()
            if start > end:
                yield text[end:start]
            if stop > start:
                yield text[start:stop]
            end = stop
    except TimeoutError:
        raise TinylmError(
            f"pattern {expression.pattern!r} took over {timeout:.0f} s on {len(text):,} characters; "
            "nested repetition is the usual cause"
        ) from None
    if end < len(text):
        yield text[end:]
