"""What has to hold between a vocabulary, its merges and its special tokens."""

from collections.abc import Mapping, Sequence

from tinylm.errors import UsageError

Vocab = Mapping[int, bytes]
Merge = tuple[bytes, bytes]


def with_special_tokens(vocab: Vocab, special_tokens: Sequence[str]) -> dict[int, bytes]:
    """The vocabulary, with special tokens that it lacks at the end."""
    present = set(vocab.values())
    missing = [token for token in map(str.encode, special_tokens) if token not in present]
    return dict(vocab) | dict(enumerate(missing, start=max(vocab, default=-1) + 1))


def ids_by_token(vocab: Vocab) -> dict[bytes, int]:
    """The inverse of a vocabulary; the smallest id, should several have the same bytes."""
    return {vocab[id]: id for id in sorted(vocab, reverse=True)}


def byte_ids(ids: Mapping[bytes, int]) -> list[int]:
    """The id of each byte. Raises: UsageError when one is missing: then there is text that cannot be encoded."""
    missing = [byte for byte in range(256) if bytes([byte]) not in ids]
    if missing:
        named = ", ".join(f"0x{byte:02x}" for byte in missing[:4]) + (", ..." if len(missing) > 4 else "")
        raise UsageError(f"the vocabulary lacks {len(missing)} of the 256 bytes ({named}): it is not a byte-level one")
    return [ids[bytes([byte])] for byte in range(256)]


def merges_by_pair(merges: Sequence[Merge], ids: Mapping[bytes, int]) -> dict[tuple[int, int], tuple[int, int]]:
    """A pair of ids -> (rank of its merge, id of the merged token).

    Raises: UsageError when a merge has a part or a result that is not in the vocabulary.
    """
    table: dict[tuple[int, int], tuple[int, int]] = {}
    for rank, (left, right) in enumerate(merges):
        for token in (left, right, left + right):
            if token not in ids:
                raise UsageError(
                    f"merge {rank + 1} joins {left!r} and {right!r}, but {token!r} is not in the vocabulary"
                )
        table.setdefault((ids[left], ids[right]), (rank, ids[left + right]))
    return table
