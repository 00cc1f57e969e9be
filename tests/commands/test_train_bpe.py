"""`tinylm train-bpe`."""

import gzip
import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from tinylm.tokenizer import Tokenizer

Invoke = Callable[..., Result]
TEXT = "low lower lowest\n<|endoftext|>\nnewer widest\n" * 5


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A small text with documents."""
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def test_json(invoke: Invoke, text: Path, tmp_path: Path) -> None:
    """The object has the fixed keys and is all of standard output; the directory is a tokenizer."""
    out = tmp_path / "out"
    special = ["--special-token", "<|endoftext|>"]
    result = invoke("train-bpe", text, "--vocab-size", 270, *special, "--out", out, "--json", "--quiet")
    values = json.loads(result.stdout)
    assert (result.exit_code, result.stderr) == (0, "")
    assert {"schema", "seconds", "peak_memory_bytes", "longest_tokens"} <= values.keys()
    assert (values["vocab_size"], values["num_merges"], values["input_bytes"]) == (270, 13, len(TEXT))
    tokenizer = Tokenizer.load(out)
    assert max(values["longest_tokens"], key=len) == max((a + b for a, b in tokenizer.merges), key=len).decode()
    assert tokenizer.special_tokens == ["<|endoftext|>"]


def test_the_summary_for_a_person(invoke: Invoke, text: Path, tmp_path: Path) -> None:
    """Without --json it says how much was learned from how much, the longest tokens, and where it is."""
    result = invoke("train-bpe", text, "--vocab-size", 260, "--out", tmp_path / "out")
    first, longest, saved = result.stdout.splitlines()
    assert first.startswith("260 tokens (4 merges) from 220 B in ")
    assert longest.startswith("longest: [")
    assert saved == f"saved to {tmp_path / 'out'}"


def test_text_that_cannot_fill_the_vocabulary(invoke: Invoke, text: Path, tmp_path: Path) -> None:
    """It says how many merges were found, and goes on with those."""
    result = invoke("train-bpe", text, "--vocab-size", 5000, "--out", tmp_path / "out", "--json", "--quiet")
    merges = json.loads(result.stdout)["num_merges"]
    assert result.exit_code == 0
    expected = f"warning: the text ran out of pairs after {merges} merges: the vocabulary has {256 + merges} tokens"
    assert result.stderr.startswith(expected)


def test_inputs_of_all_kinds(invoke: Invoke, text: Path, tmp_path: Path) -> None:
    """Two files, one of them compressed, give what the first twice gives, as does standard input."""
    (tmp_path / "text.gz").write_bytes(gzip.compress(text.read_bytes()))
    for out, inputs in (("a", [text, text]), ("b", [text, tmp_path / "text.gz"]), ("c", ["-", text])):
        result = invoke("train-bpe", *inputs, "--vocab-size", 265, "--out", tmp_path / out, input=TEXT)
        assert result.exit_code == 0, result.stderr
    tokenizers = [Tokenizer.load(tmp_path / out) for out in "abc"]
    assert len({tokenizer.fingerprint for tokenizer in tokenizers}) == 1


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["none.txt"], 1, "none.txt: no such file"),
        (["."], 1, "is a directory, expected a file"),
        (["empty.txt"], 1, "empty.txt: empty, there is no text in it"),
        (["latin.txt"], 1, "latin.txt: not UTF-8 at byte 3 (0xe9); --invalid replace"),
        (["text.txt", "--vocab-size", "256", "--special-token", "<|x|>"], 2, "vocab_size 256 is too small"),
        (["text.txt", "--special-token", ""], 2, "a special token cannot be empty text"),
        (["text.txt", "--special-token", "¶"], 2, "'¶': in a tokenizer's files it would be written like the byte 0xb6"),
        (["text.txt", "--pattern", "gpt-2"], 2, "no pattern named 'gpt-2'; did you mean 'gpt2'?"),
        (["text.txt", "--out", "text.txt"], 2, "text.txt: is a file; a tokenizer is a directory"),
    ],
)
def test_mistakes(
    arguments: list[str],
    exit_code: int,
    message: str,
    invoke: Invoke,
    text: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each mistake is one line on stderr with the right exit code, and leaves nothing behind."""
    monkeypatch.chdir(tmp_path)
    Path("empty.txt").touch()
    Path("latin.txt").write_bytes(b"caf\xe9")
    before = sorted(tmp_path.iterdir())
    result = invoke("train-bpe", "--vocab-size", 300, "--out", "out", *arguments)
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_invalid_bytes_replaced(invoke: Invoke, tmp_path: Path) -> None:
    """--invalid replace reads on."""
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9 " * 3)
    arguments = ["--vocab-size", 258, "--out", tmp_path / "out", "--invalid", "replace"]
    assert invoke("train-bpe", tmp_path / "latin.txt", *arguments).exit_code == 0


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_ctrl_c_with_workers(spawn: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    """Ctrl-C while workers count ends all processes with one line, exit code 130 and nothing on disk."""
    process = spawn(
        *("train-bpe", "-", "--vocab-size", 300, "--threads", 2, "--pattern", "cl100k", "--out", tmp_path / "out"),
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    process.stdin.write("some words and then more of them\n" * 270_000)  # more than is read before a first result
    process.stdin.flush()
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert (process.returncode, stderr) == (130, "error: interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_counts_have_their_settings(invoke: Invoke, text: Path, tmp_path: Path) -> None:
    """Other special tokens or another pattern than the counts were made with cannot be asked for afterwards."""
    counts, learn = tmp_path / "c.npz", ("train-bpe", "--from-counts", tmp_path / "c.npz", "--vocab-size", 260)
    assert invoke("train-bpe", text, "--special-token", "<|x|>", "--counts-out", counts).exit_code == 0
    for option, value, message in (
        ("--special-token", "<|y|>", "--special-token: the counts were made with others (<|x|>); leave it out"),
        ("--pattern", "o200k", "--pattern: the counts were made with gpt2; leave it out"),
    ):
        result = invoke(*learn, "--out", tmp_path / "t", option, value)
        assert (result.exit_code, (tmp_path / "t").exists()) == (2, False)
        assert message in result.stderr
    assert invoke(*learn, "--out", tmp_path / "t", "--special-token", "<|x|>").exit_code == 0
    np.save(tmp_path / "tokens.npy", np.arange(3))
    result = invoke("train-bpe", "--from-counts", tmp_path / "tokens.npy", "--vocab-size", 260, "--out", tmp_path / "u")
    assert (result.exit_code, "tokens.npy: not a file of counts" in result.stderr) == (1, True)


def test_a_special_token_of_one_byte_takes_no_place(invoke: Invoke, text: Path, tmp_path: Path) -> None:
    """It is among the bytes already, so one merge more is learned, and nothing has run out."""
    result = invoke("train-bpe", text, "--vocab-size", 260, "--special-token", "\n", "--out", tmp_path / "t")
    assert (result.exit_code, "ran out" in result.stderr) == (0, False)
    assert len(Tokenizer.load(tmp_path / "t").vocab) == 260
