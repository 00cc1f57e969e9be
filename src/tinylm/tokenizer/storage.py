"""A tokenizer on disk: the two files of GPT-2, one with what they cannot say, and one for Hugging Face's libraries.

vocab.json            token -> id
merges.txt            a merge a line, by rank
special_tokens.json   special tokens and the pattern
tokenizer.json        all of it, for `tokenizers.Tokenizer.from_file` and `transformers`; we never read it
"""

import contextlib
from collections.abc import Collection, Mapping, Sequence
from os import PathLike
from pathlib import Path

from tinylm.errors import TinylmError, UsageError
from tinylm.files import atomic_directory, existing_file, read_json, write_json, write_text
from tinylm.tokenizer.byte_unicode import to_bytes, to_text
from tinylm.tokenizer.huggingface import tokenizer_json

SCHEMA = 1
VERSION_LINE = "#version: 0.2"

GPT2_SPECIAL_TOKENS = ["<|endoftext|>"]
FILES = {"vocab.json", "merges.txt", "special_tokens.json", "tokenizer.json"}

AnyPath = str | PathLike[str]


def write(
    directory: AnyPath,
    vocab: Mapping[int, bytes],
    merges: Sequence[tuple[bytes, bytes]],
    special_tokens: Sequence[str],
    pattern: str,
) -> None:
    """Write all four files: the directory appears whole or not at all, or they join what else is in it, one by one.

    Raises: UsageError when it is a file.
    """
    directory = Path(directory)
    require_directory(directory)
    ids = ids_by_text(vocab, special_tokens)
    pairs = [(to_text(left), to_text(right)) for left, right in merges]
    settings = {"schema": SCHEMA, "special_tokens": list(special_tokens), "pattern": pattern}
    with contextlib.nullcontext(directory) if holds_others(directory) else atomic_directory(directory) as place:
        write_json(place / "vocab.json", ids)
        write_text(place / "merges.txt", "\n".join([VERSION_LINE, *map(" ".join, pairs), ""]))
        write_json(place / "special_tokens.json", settings)
        write_json(place / "tokenizer.json", tokenizer_json(ids, pairs, special_tokens, pattern))


def require_directory(path: Path) -> None:
    """Raises: UsageError when there is a file of this name."""
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path}: is a file; a tokenizer is a directory, choose another name")


def holds_others(directory: Path) -> bool:
    """Whether there is anything in a directory that is no part of a tokenizer."""
    return directory.is_dir() and any(path.name not in FILES for path in directory.iterdir())


def ids_by_text(vocab: Mapping[int, bytes], special_tokens: Collection[str]) -> dict[str, int]:
    """What `vocab.json` holds: special tokens as they are, all others in byte-to-unicode form, by rising id."""
    specials = {token.encode(): token for token in special_tokens}
    ids = {specials.get(vocab[id]) or to_text(vocab[id]): id for id in sorted(vocab)}
    if len(ids) < len(vocab):
        raise TinylmError("two tokens of this vocabulary are written alike in vocab.json, so it cannot be saved")
    return ids


def read_vocab(path: AnyPath, special_tokens: Collection[str]) -> dict[int, bytes]:
    """Raises: TinylmError naming the file when it is not a vocabulary."""
    ids = read_json(Path(path))
    if not isinstance(ids, dict) or not all(type(id) is int and id >= 0 for id in ids.values()):
        raise TinylmError(f"{path}: not a vocabulary, which is a JSON object of tokens with their ids")
    if len(set(ids.values())) < len(ids):
        raise TinylmError(f"{path}: two tokens have the same id")
    try:
        return {id: text.encode() if text in special_tokens else to_bytes(text) for text, id in ids.items()}
    except KeyError as error:
        raise TinylmError(f"{path}: {error} is not a character of GPT-2's byte-to-unicode form") from None


def read_merges(path: AnyPath) -> list[tuple[bytes, bytes]]:
    """Raises: TinylmError naming file and line when a line is not a merge."""
    try:
        lines = existing_file(Path(path)).read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise TinylmError(f"{path}: not UTF-8 at byte {error.start}, so not a list of merges") from None
    merges = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or (number == 1 and line.startswith("#version")):  # any other "#" is a token
            continue
        try:
            left, right = map(to_bytes, line.split())
        except (KeyError, ValueError):
            raise TinylmError(f"{path}:{number}: {line!r} is not a merge, two tokens with a space between") from None
        merges.append((left, right))
    return merges


def read_settings(directory: AnyPath) -> tuple[list[str], str]:
    """Special tokens and pattern; where only GPT-2's two files are, GPT-2's.

    Raises: TinylmError when the directory is not a tokenizer.
    """
    directory = Path(directory)
    if not (directory / "vocab.json").is_file() or not (directory / "merges.txt").is_file():
        state = "has no vocab.json and merges.txt" if directory.is_dir() else "no such directory"
        raise TinylmError(f"{directory}: {state}; `tinylm train-bpe` makes a tokenizer directory")
    path = directory / "special_tokens.json"
    if not path.exists():
        return [token for token in GPT2_SPECIAL_TOKENS if token in read_json(directory / "vocab.json")], "gpt2"
    settings = read_json(path)
    try:
        return [str(token) for token in settings["special_tokens"]], str(settings["pattern"])
    except (KeyError, TypeError):
        raise TinylmError(f"{path}: lacks the keys special_tokens and pattern") from None
