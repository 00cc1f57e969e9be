"""`tinylm encode`: text to a token file."""

import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tinylm.commands import options
from tinylm.commands.console import Console, bytes_text, duration
from tinylm.errors import UsageError
from tinylm.files import STDIO, refuse_to_overwrite

Out = Annotated[Path, typer.Option(metavar="FILE", help="The token file; its description goes beside it.")]
Format = Annotated[
    Literal["npy", "bin"] | None,
    typer.Option("--format", help="A numpy array, or raw ids as nanoGPT reads them. Default: by the name of --out."),
]


def encode(
    inputs: options.Inputs,
    tokenizer: options.Tokenizer,
    out: Out,
    file_format: Format = None,
    threads: options.Threads = None,
    invalid: options.Invalid = "error",
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Encode text into a token file.

    Special tokens of the tokenizer are recognised in the text and end a document, as the end of each file does.

    Examples:

      tinylm encode stories.txt --tokenizer data/ts-10k --out data/stories.npy

      cat *.txt | tinylm encode - --tokenizer data/ts-10k --out data/all.bin
    """
    from tinylm.data.token_file import info_path, offsets_path, token_dtype
    from tinylm.data.token_writer import write_tokens
    from tinylm.tokenizer import Tokenizer
    from tinylm.tokenizer.encode_files import encode_files
    from tinylm.tokenizer.text_stream import text_size_bytes

    console = Console(json=json, quiet=quiet)
    file_format = format_of(out, file_format)
    for path in (out, info_path(out), offsets_path(out)):
        refuse_to_overwrite(path, force)
    loaded = Tokenizer.load(tokenizer)
    started = time.perf_counter()
    with (
        console.progress("encoding", text_size_bytes(inputs)) as advance,
        write_tokens(
            out, vocab_size=loaded.vocab_size, tokenizer=loaded.fingerprint, file_format=file_format
        ) as writer,
    ):
        for block in encode_files(inputs, loaded, invalid=invalid, num_workers=threads):
            writer.append(block.ids, block.document_starts)
            writer.input_bytes = block.bytes_read
            advance(block.bytes_read, f"{writer.num_tokens:,} tokens")
    seconds = time.perf_counter() - started
    values = {
        "num_tokens": writer.num_tokens,
        "num_documents": writer.num_documents,
        "input_bytes": writer.input_bytes,
        "bytes_per_token": writer.input_bytes / writer.num_tokens,
        "seconds": seconds,
        "bytes_per_second": writer.input_bytes / seconds,
        "dtype": token_dtype(loaded.vocab_size).name,
        "out": str(out),
    }
    console.result(values, summary(values))


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
