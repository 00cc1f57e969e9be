"""Special tokens in text: they bound documents, and nothing is merged or pre-tokenized across one."""

from collections.abc import Collection, Iterator
from typing import Any

import regex

from tinylm.errors import UsageError


class SpecialSplitter:
    """Finds special tokens in text, the longest first where several begin at one place."""

    def __init__(self, special_tokens: Collection[str]) -> None:
        self.special_tokens = frozenset(special_tokens)
        if "" in special_tokens:
            raise UsageError("a special token cannot be empty text")
        longest_first = sorted(special_tokens, key=len, reverse=True)
        self.longest = len(longest_first[0]) if longest_first else 0
        self._expression: Any = regex.compile("|".join(map(regex.escape, longest_first))) if longest_first else None

    def split(self, text: str) -> Iterator[str]:
        """Special tokens and the non-empty texts between them: concatenated, they are the text."""
        end = 0
        for start, stop in self.spans(text):
            if start > end:
                yield text[end:start]
            yield text[start:stop]
            end = stop
        if end < len(text):
            yield text[end:]

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where the special tokens are, from left to right."""
        if self._expression is None:
            return
        for match in self._expression.finditer(text):
            yield match.span()
