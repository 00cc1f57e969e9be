"""`tinylm decode`: token ids back to text."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from tinylm.commands import options
from tinylm.commands.console import Console
from tinylm.files import STDIO, atomic_file, refuse_to_overwrite

if TYPE_CHECKING:
    from tinylm.data.token_file import Tokens
    from tinylm.tokenizer import Tokenizer

CHUNK_TOKENS = 1 << 16

File = Annotated[str, typer.Argument(metavar="FILE", help="A .npy or .bin token file; - is standard input.")]
Out = Annotated[Path, typer.Option(metavar="FILE", help="Where the text goes; - is standard output.")]


def decode(
    file: File,
    tokenizer: options.Tokenizer,
    out: Out = Path(STDIO),
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Decode a token file into its text.

    Bytes that are no characters, as at the end of a cut file, become U+FFFD.

    Examples:

      tinylm decode data/stories.npy --tokenizer data/ts-10k | head

      tinylm decode data/stories.npy --tokenizer data/ts-10k --out stories.txt
    """
    from tinylm.tokenizer import Tokenizer

    refuse_to_overwrite(out, force)
    loaded = Tokenizer.load(tokenizer)
    tokens = read_tokens(file, loaded)
    pieces = loaded.decode_stream(in_chunks(tokens))
    console = Console(json=json, quiet=quiet)
    if json and str(out) == STDIO:
        console.result({"text": "".join(pieces), "num_tokens": len(tokens)}, "")
        return
    with writable(out) as stream:
        for piece in pieces:
            stream.write(piece.encode())
    if str(out) != STDIO:
        console.result({"num_tokens": len(tokens), "out": str(out)}, f"{len(tokens):,} tokens decoded to {out}")


def read_tokens(file: str, tokenizer: "Tokenizer") -> "Tokens":
    """The ids of a token file, once it is known that this tokenizer made it, or those on standard input."""
    from tinylm.data.token_file import open_tokens, tokens_from_bytes

    if file == STDIO:
        return tokens_from_bytes(sys.stdin.buffer.read(), "standard input", tokenizer.vocab_size)
    opened = open_tokens(file)
    opened.require_tokenizer(tokenizer.fingerprint)
    return opened.tokens


def in_chunks(tokens: "Tokens") -> Iterator[int]:
    """Python integers, a chunk at a time, so that memory stays constant."""
    for start in range(0, len(tokens), CHUNK_TOKENS):
        yield from tokens[start : start + CHUNK_TOKENS].tolist()


def writable(out: Path) -> AbstractContextManager[BinaryIO]:
    """Standard output, which stays open, or a file that appears when it is complete."""
    return nullcontext(sys.stdout.buffer) if str(out) == STDIO else atomic_file(out)
