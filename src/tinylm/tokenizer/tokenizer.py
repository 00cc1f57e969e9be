"""Text to token ids and back."""

import codecs
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tinylm.errors import TinylmError, UsageError
from tinylm.tokenizer import storage
from tinylm.tokenizer.bpe import WordCache
from tinylm.tokenizer.pretokenize import pretokenizer
from tinylm.tokenizer.special import SpecialSplitter
from tinylm.tokenizer.text_stream import safe_blocks
from tinylm.tokenizer.vocabulary import byte_ids, ids_by_token, merges_by_pair, with_special_tokens

if TYPE_CHECKING:
    from tinylm.tokenizer.kernels.text_encoder import Vocabulary

PathLike = str | os.PathLike[str]

STREAM_CHARACTERS = 1 << 15


class Tokenizer:
    """A byte-level BPE tokenizer: a vocabulary, merges in the order of their rank, special tokens, a pattern.

    Ids are those of `vocab`; special tokens that it lacks are added at its end.

    Raises: UsageError when a byte is missing from the vocabulary, or a part or the result of a merge.
    """

    def __init__(
        self,
        vocab: Mapping[int, bytes],
        merges: Sequence[tuple[bytes, bytes]],
        special_tokens: Sequence[str] | None = None,
        *,
        pattern: str = "gpt2",
    ) -> None:
        self.special_tokens = list(dict.fromkeys(special_tokens or ()))
        self.vocab = with_special_tokens(vocab, self.special_tokens)
        self.merges = list(merges)
        self.pattern = pattern
        ids = ids_by_token(self.vocab)
        self.special_token_ids = {special: ids[special.encode()] for special in self.special_tokens}
        self._words = WordCache(byte_ids(ids), merges_by_pair(self.merges, ids))
        self._pretokenize = pretokenizer(pattern)
        self._splitter = SpecialSplitter(self.special_tokens)

    def __repr__(self) -> str:
        return f"<Tokenizer of {len(self.vocab):,} tokens, {self.fingerprint[:12]}>"

    @property
    def vocab_size(self) -> int:
        """One more than the largest id: the rows that an embedding needs."""
        return max(self.vocab) + 1

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything that decides about ids, the same for the same tokenizer on every machine."""
        content = {
            "vocab": [[id, self.vocab[id].hex()] for id in sorted(self.vocab)],
            "merges": [[left.hex(), right.hex()] for left, right in self.merges],
            "special_tokens": sorted(self.special_tokens),
            "pattern": self.pattern,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @cached_property
    def kernel_vocabulary(self) -> "Vocabulary":
        """What the compiled kernels know of the tokenizer."""
        from tinylm.tokenizer.kernels.text_encoder import new_vocabulary

        return new_vocabulary(self._words.byte_ids, self._words.merges, self.special_token_ids)

    @classmethod
    def from_files(
        cls,
        vocab_path: PathLike,
        merges_path: PathLike,
        special_tokens: Sequence[str] | None = None,
        *,
        pattern: str = "gpt2",
    ) -> Self:
        """Read `vocab.json` and `merges.txt` of GPT-2's form. Raises: TinylmError naming the file and what is wrong."""
        vocab = storage.read_vocab(vocab_path, special_tokens or ())
        return cls(vocab, storage.read_merges(merges_path), special_tokens, pattern=pattern)

    @classmethod
    def load(cls, directory: PathLike) -> Self:
        """Read a directory that `save` wrote. Raises: TinylmError when it is not one."""
        special_tokens, pattern = storage.read_settings(directory)
        vocab_path, merges_path = Path(directory, "vocab.json"), Path(directory, "merges.txt")
        try:
            return cls.from_files(vocab_path, merges_path, special_tokens, pattern=pattern)
        except UsageError as error:
            raise TinylmError(f"{directory}: {error}") from error

    def save(self, directory: PathLike) -> None:
        """Write the directory whole or not at all, replacing what was there; Hugging Face's libraries can read it."""
        storage.write(directory, self.vocab, self.merges, self.special_tokens, self.pattern)

    def encode(self, text: str) -> list[int]:
        """Ids of a text in which special tokens are recognised, the longest first."""
        ids: list[int] = []
        for part in self._splitter.split(text):
            if part in self.special_token_ids:
                ids.append(self.special_token_ids[part])
            else:
                ids += self.encode_ordinary(part)
        return ids

    def encode_ordinary(self, text: str) -> list[int]:
        """Ids of a text that is only text, also where it looks like a special token."""
        words = self._words
        return [id for word in self._pretokenize(text) for id in words[word]]

    def encode_iterable(self, strings: Iterable[str]) -> Iterator[int]:
        """Ids of the concatenated strings, in constant memory; the strings may be cut anywhere."""
        for block in safe_blocks(strings, self._splitter, self.pattern, STREAM_CHARACTERS):
            yield from self.encode(block)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of the ids, with U+FFFD for bytes that are no characters. Raises: UsageError for an unknown id."""
        return self.decode_bytes(ids).decode(errors="replace")

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """Exactly the bytes that the ids stand for. Raises: UsageError for an unknown id."""
        return b"".join(map(self._token, ids))

    def decode_stream(self, ids: Iterable[int]) -> Iterator[str]:
        """`decode` piece by piece; a character is held back until its last byte has come."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for token in map(self._token, ids):
            if text := decoder.decode(token):
                yield text
        if text := decoder.decode(b"", final=True):
            yield text

    def _token(self, id: int) -> bytes:
        try:
            return self.vocab[id]
        except KeyError:
            raise UsageError(f"no token has id {id}; ids go from {min(self.vocab)} to {max(self.vocab)}") from None

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy in another process is built anew, with an empty cache."""
        return rebuild, (self.vocab, self.merges, self.special_tokens, self.pattern)


def rebuild(
    vocab: Mapping[int, bytes], merges: Sequence[tuple[bytes, bytes]], special_tokens: Sequence[str], pattern: str
) -> Tokenizer:
    """A tokenizer from what `__reduce__` names."""
    return Tokenizer(vocab, merges, special_tokens, pattern=pattern)
