"""`tinylm encode`: text to a token file."""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tinylm.commands import options
from tinylm.commands.console import Console, bytes_text, duration
from tinylm.errors import UsageError
from tinylm.files import STDIO, refuse_to_overwrite

if TYPE_CHECKING:
    from tinylm.tokenizer.sources import Source

RECORD_EVERY_BYTES = 1 << 25
"""A killed run has to do less than this again."""

Out = Annotated[Path, typer.Option(metavar="FILE", help="The token file; its description goes beside it.")]
Format = Annotated[
    Literal["npy", "bin"] | None,
    typer.Option(
        "--format",
        help="A numpy array, or raw ids, up to 65,536 tokens as nanoGPT reads them. Default: by the name of --out.",
    ),
]


def encode(
    inputs: options.Inputs,
    tokenizer: options.Tokenizer,
    out: Out,
    file_format: Format = None,
    threads: options.Threads = None,
    shard: options.Shard = None,
    invalid: options.Invalid = "error",
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Encode text into a token file.

    Special tokens of the tokenizer are recognised in the text and end a document, as the end of each file does.
    Killed, the same command goes on where it was. The arrays of all shards, joined, are that of one run; a single
    text is split for training and validation as in the last example, and the other part is --shard 20/20.

    Examples:

      tinylm encode stories.txt --tokenizer data/ts-10k --out data/stories.npy

      cat *.txt | tinylm encode - --tokenizer data/ts-10k --out data/all.bin

      tinylm encode my.txt --tokenizer data/my-10k --shard 1-19/20 --out data/my-train.npy
    """
    from tinylm.data.token_file import token_dtype
    from tinylm.data.token_writer import Place, write_tokens
    from tinylm.tokenizer import Tokenizer
    from tinylm.tokenizer.encode_files import encode_files
    from tinylm.tokenizer.encoded import Position
    from tinylm.tokenizer.shards import Shard, shard_sources
    from tinylm.tokenizer.sources import total_size_bytes, whole

    console = Console(json=json, quiet=quiet)
    file_format = format_of(out, file_format)
    refuse_to_replace(out, force)
    loaded = Tokenizer.load(tokenizer)
    sources = (
        shard_sources(inputs, Shard.parse(shard), loaded.special_tokens, loaded.pattern) if shard else whole(inputs)
    )
    job = job_name(sources, loaded.fingerprint, file_format, invalid)
    started = time.perf_counter()
    with (
        console.progress("encoding", total_size_bytes(sources)) as advance,
        write_tokens(
            out, vocab_size=loaded.vocab_size, tokenizer=loaded.fingerprint, file_format=file_format, job=job
        ) as writer,
    ):
        bytes_before = bytes_on_record = writer.input_bytes
        if bytes_before:
            console.note(f"going on after {bytes_text(bytes_before)}, where an earlier run ended")
        blocks = encode_files(
            sources,
            loaded,
            invalid=invalid,
            num_threads=threads,
            start=Position(*writer.journal.place),
            on_compile=lambda: console.note(options.COMPILING),
        )
        for block in blocks:
            writer.append(block.ids, block.document_starts)
            writer.input_bytes = block.bytes_read
            advance(block.bytes_read, f"{writer.num_tokens:,} tokens")
            if job and block.position and block.bytes_read >= bytes_on_record + RECORD_EVERY_BYTES:
                bytes_on_record = block.bytes_read
                writer.put_on_record(Place(*block.position))
    seconds = time.perf_counter() - started
    values = {
        "num_tokens": writer.num_tokens,
        "num_documents": writer.num_documents,
        "input_bytes": writer.input_bytes,
        "bytes_per_token": writer.input_bytes / writer.num_tokens,
        "seconds": seconds,
        "bytes_per_second": (writer.input_bytes - bytes_before) / seconds,
        "dtype": token_dtype(loaded.vocab_size).name,
        "out": str(out),
    }
    console.result(values, summary(values))


def refuse_to_replace(out: Path, force: bool) -> None:
    """Raises: UsageError when there is a token file already. What a stopped run left half-renamed is no token file."""
    from tinylm.data.token_file import info_path, offsets_path
    from tinylm.data.token_writer import half_renamed

    for path in (out, info_path(out), offsets_path(out)):
        refuse_to_overwrite(path, force or half_renamed(out))


def job_name(sources: Sequence["Source"], tokenizer: str, file_format: str, invalid: str) -> str:
    """A hash of all that the token file depends on, "" if an input cannot be read from the middle."""
    if any(source.size_bytes is None for source in sources):
        return ""
    files = [
        [str(Path(source.path).resolve()), source.start, source.size_bytes, Path(source.path).stat().st_mtime_ns]
        for source in sources
    ]
    return hashlib.sha256(repr((tokenizer, file_format, invalid, files)).encode()).hexdigest()


def format_of(out: Path, asked: Literal["npy", "bin"] | None) -> Literal["npy", "bin"]:
    """The format asked for, or that of the file's name. Raises: UsageError when the two do not agree."""
    file_format = asked or ("bin" if out.suffix == ".bin" else "npy")
    if str(out) == STDIO or out.suffix != f".{file_format}":
        raise UsageError(f"--out {out}: must be a file whose name ends in .{file_format}")
    return file_format


def summary(values: dict[str, Any]) -> str:
    """The result for a person."""
    documents = f"{values['num_documents']:,} document{'s' if values['num_documents'] != 1 else ''}"
    return (
        f"{values['num_tokens']:,} tokens ({values['dtype']}) in {documents} "
        f"from {bytes_text(values['input_bytes'])}, {values['bytes_per_token']:.3f} bytes per token\n"
        f"{duration(values['seconds'])}, {bytes_text(values['bytes_per_second'])}/s, saved to {values['out']}"
    )
