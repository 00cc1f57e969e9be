"""`tinylm encode`."""

import errno
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from tinylm.data.token_writer import ArrayStream
from tinylm.tokenizer import Tokenizer

Invoke = Callable[..., Result]
TEXT = "the cat\n<|e|>the hat: süß\n<|e|>"

KILLED_AT_A_RENAME = """
import os, signal, sys
from pathlib import Path
from tinylm.cli import main

replace, left = Path.replace, int(sys.argv.pop(1))

def replace_or_die(path, target):
    global left
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return replace(path, target)

Path.replace = replace_or_die
main()
"""


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a tokenizer, `tok`, and a text, `text.txt`."""
    monkeypatch.chdir(tmp_path)
    vocab = {byte: bytes([byte]) for byte in range(256)} | {256: b"th", 257: b"the"}
    Tokenizer(vocab, [(b"t", b"h"), (b"th", b"e")], ["<|e|>"]).save("tok")
    Path("text.txt").write_text(TEXT, encoding="utf-8")
    return tmp_path


def test_json(invoke: Invoke) -> None:
    """The object has the fixed keys, and the file has the ids of the text."""
    result = invoke("encode", "text.txt", "--tokenizer", "tok", "--out", "out.npy", "--json", "--quiet")
    assert (result.exit_code, result.stderr) == (0, "")
    values = json.loads(result.stdout)
    ids = Tokenizer.load("tok").encode(TEXT)
    assert np.load("out.npy").tolist() == ids
    assert np.load("out.offsets.npy").tolist() == [0, ids.index(258) + 1]
    assert values.keys() >= {"schema", "seconds", "bytes_per_second"}
    fixed = (values["num_tokens"], values["input_bytes"], values["bytes_per_token"], values["dtype"], values["out"])
    assert fixed == (len(ids), len(TEXT.encode()), len(TEXT.encode()) / len(ids), "uint16", "out.npy")


def test_the_description_is_bound_to_the_tokenizer(invoke: Invoke) -> None:
    """The description beside the file names the tokenizer, and counts what went in."""
    invoke("encode", "text.txt", "text.txt", "--tokenizer", "tok", "--out", "out.npy")
    info = json.loads(Path("out.json").read_text())
    assert info["tokenizer"] == Tokenizer.load("tok").fingerprint
    assert (info["vocab_size"], info["num_documents"], info["input_bytes"]) == (259, 4, 2 * len(TEXT.encode()))


def test_raw_ids(invoke: Invoke) -> None:
    """A name that ends in .bin, or --format bin, gives the bare ids of nanoGPT."""
    invoke("encode", "text.txt", "--tokenizer", "tok", "--out", "out.npy")
    for name, options in (("a.bin", []), ("b.bin", ["--format", "bin"])):
        assert invoke("encode", "text.txt", "--tokenizer", "tok", "--out", name, *options).exit_code == 0
        assert np.fromfile(name, "<u2").tolist() == np.load("out.npy").tolist()


def test_several_inputs_and_standard_input(invoke: Invoke) -> None:
    """Inputs follow one another; `-` is standard input."""
    result = invoke("encode", "-", "text.txt", "--tokenizer", "tok", "--out", "out.npy", input=TEXT.encode())
    assert result.exit_code == 0
    assert np.load("out.npy").tolist() == Tokenizer.load("tok").encode(TEXT) * 2


def test_the_summary_for_a_person(invoke: Invoke) -> None:
    """Without --json it says what was written, how dense and how fast."""
    first, second = invoke("encode", "text.txt", "--tokenizer", "tok", "--out", "out.npy").stdout.splitlines()
    assert first == "21 tokens (uint16) in 2 documents from 33 B, 1.571 bytes per token"
    assert second.endswith("/s, saved to out.npy")


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["none.txt"], 1, "none.txt: no such file"),
        (["tok"], 1, "tok: is a directory, expected a file"),
        (["empty.txt"], 1, "empty.txt: empty, there is no text in it"),
        (["text.txt", "latin.txt"], 1, "latin.txt: not UTF-8 at byte 3 (0xe9); --invalid replace"),
        (["text.txt", "--tokenizer", "empty.txt"], 1, "empty.txt: no such directory; `tinylm train-bpe` makes"),
        (["text.txt", "--out", "out.txt"], 2, "--out out.txt: must be a file whose name ends in .npy"),
        (["text.txt", "--out", "-"], 2, "--out -: must be a file whose name ends in .npy"),
        (["text.txt", "--out", "out.bin", "--format", "npy"], 2, "must be a file whose name ends in .npy"),
        (["text.txt", "--out", "there.npy"], 2, "there.npy: already exists; pass --force"),
        (["text.txt", "--out", "there.bin"], 2, "there.json: already exists; pass --force"),
    ],
)
def test_mistakes(arguments: list[str], exit_code: int, message: str, invoke: Invoke, directory: Path) -> None:
    """Each mistake is one line on stderr with the right exit code, and leaves nothing behind."""
    for name in ("empty.txt", "there.npy", "there.json"):
        Path(name).touch()
    Path("latin.txt").write_bytes(b"caf\xe9")
    before = sorted(directory.iterdir())
    result = invoke("encode", "--tokenizer", "tok", "--out", "out.npy", *arguments)
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert sorted(directory.iterdir()) == before


def test_force_replaces(invoke: Invoke) -> None:
    """--force writes over an earlier file and its description."""
    for _ in range(2):
        result = invoke("encode", "text.txt", "--tokenizer", "tok", "--out", "out.npy", "--force")
    assert result.exit_code == 0


def test_a_full_disk(invoke: Invoke, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk is full the message says so, and nothing half-written is left."""
    before = sorted(directory.iterdir())

    def no_space(_stream: ArrayStream) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ArrayStream, "finish", no_space)
    result = invoke("encode", "text.txt", "--tokenizer", "tok", "--out", "out.npy")
    assert (result.exit_code, result.stderr) == (1, "error: out.npy: no space left on device\n")
    assert sorted(directory.iterdir()) == before


def kill_at_rename(renames: int, *command: str) -> None:
    """Run the command until it renames for the so many-th time, counted from 0."""
    killed = subprocess.run([sys.executable, "-c", KILLED_AT_A_RENAME, str(renames), *command], capture_output=True)
    assert killed.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.parametrize("renames", [0, 1, 2])
def test_killed_between_its_renames(renames: int, invoke: Invoke, directory: Path) -> None:
    """The same command again makes the file and leaves nothing else, also where some names are taken already.

    Offsets, description and tokens get their names in this order; a temporary description is left behind.
    """
    command = ("encode", "text.txt", "--tokenizer", "tok", "--out", "out.npy")
    kill_at_rename(renames, *command)
    assert not Path("out.npy").exists()
    assert invoke(*command).exit_code == 0
    assert np.load("out.npy").tolist() == Tokenizer.load("tok").encode(TEXT)
    names = {path.name for path in directory.iterdir() if path.suffix != ".tmp"} - {"tok", "text.txt"}
    assert names == {"out.npy", "out.json", "out.offsets.npy"}


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.parametrize(("renames", "exit_code"), [(0, 2), (1, 0), (2, 0)])
def test_killed_over_an_earlier_file(renames: int, exit_code: int, invoke: Invoke) -> None:
    """Without --force, the rerun replaces what is half of one run and half of another, and not what is still whole."""
    command = ("encode", "text.txt", "--tokenizer", "tok", "--out", "out.npy")
    assert invoke(*command).exit_code == 0
    kill_at_rename(renames, *command, "--force")
    assert invoke(*command).exit_code == exit_code
    assert np.load("out.npy").tolist() == Tokenizer.load("tok").encode(TEXT)


def test_a_record_of_a_run_lets_nobody_replace(invoke: Invoke) -> None:
    """A run with --force that was killed before it had all leaves the earlier file whole, and protected."""
    command = ("encode", "text.txt", "--tokenizer", "tok", "--out", "out.npy")
    assert invoke(*command).exit_code == 0
    for name in (".out.npy.journal", ".out.npy.partial", ".out.offsets.npy.partial"):
        Path(name).write_text("{}")
    assert invoke(*command).exit_code == 2
