"""`tinylm decode`."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from tinylm.commands import decode
from tinylm.tokenizer import Tokenizer

Invoke = Callable[..., Result]
TEXT = "the cat\r\n<|e|>the hat: süß 😀\n<|e|>"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, invoke: Invoke) -> Path:
    """A working directory with a tokenizer, `tok`, and an encoded text, `text.npy`."""
    monkeypatch.chdir(tmp_path)
    vocab = {byte: bytes([byte]) for byte in range(256)} | {256: b"th", 257: b"the"}
    Tokenizer(vocab, [(b"t", b"h"), (b"th", b"e")], ["<|e|>"]).save("tok")
    Path("text.txt").write_bytes(TEXT.encode())
    for out in ("text.npy", "raw.bin"):
        invoke("encode", "text.txt", "--tokenizer", "tok", "--out", out)
    return tmp_path


@pytest.mark.parametrize("file", ["text.npy", "raw.bin"])
def test_exactly_the_text(file: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output has the bytes that were encoded and nothing more, also where a chunk ends in a character."""
    monkeypatch.setattr(decode, "CHUNK_TOKENS", 3)
    result = invoke("decode", file, "--tokenizer", "tok")
    assert (result.exit_code, result.stdout_bytes, result.stderr) == (0, TEXT.encode(), "")


def test_json(invoke: Invoke) -> None:
    """--json has the text and the number of tokens."""
    values = json.loads(invoke("decode", "text.npy", "--tokenizer", "tok", "--json").stdout)
    assert values == {"schema": 1, "text": TEXT, "num_tokens": len(np.load("text.npy"))}


def test_out(invoke: Invoke) -> None:
    """--out writes the text to a file and says so."""
    result = invoke("decode", "text.npy", "--tokenizer", "tok", "--out", "back.txt")
    assert Path("back.txt").read_bytes() == TEXT.encode()
    assert result.stdout == f"{len(np.load('text.npy'))} tokens decoded to back.txt\n"


@pytest.mark.parametrize("file", ["text.npy", "raw.bin"])
def test_standard_input(file: str, invoke: Invoke) -> None:
    """`-` reads a token file, with header or raw, from standard input."""
    result = invoke("decode", "-", "--tokenizer", "tok", input=Path(file).read_bytes())
    assert result.stdout_bytes == TEXT.encode()


def test_a_text_cut_in_a_character(invoke: Invoke) -> None:
    """Half a character at the end becomes U+FFFD."""
    np.save("cut.npy", np.array([104, 0xC3], np.uint16))
    assert invoke("decode", "cut.npy", "--tokenizer", "tok").stdout_bytes == "h\ufffd".encode()


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["none.npy"], 1, "none.npy: no such file"),
        (["text.txt"], 1, "text.txt: not a token file; `tinylm encode` makes one from text"),
        (["text.npy", "--tokenizer", "other"], 1, "text.npy: made by another tokenizer ("),
        (["text.npy", "--tokenizer", "none"], 1, "none: no such directory"),
        (["unknown.npy"], 2, "no token has id 60000; ids go from 0 to 258"),
        (["text.npy", "--out", "text.txt"], 2, "text.txt: already exists; pass --force"),
    ],
)
def test_mistakes(arguments: list[str], exit_code: int, message: str, invoke: Invoke, directory: Path) -> None:
    """Each mistake is one line on stderr with the right exit code, and leaves nothing behind."""
    Tokenizer({byte: bytes([byte]) for byte in range(256)}, []).save("other")
    np.save("unknown.npy", np.array([60_000], np.uint16))
    before = sorted(directory.iterdir())
    result = invoke("decode", "--tokenizer", "tok", *arguments)
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert sorted(directory.iterdir()) == before
