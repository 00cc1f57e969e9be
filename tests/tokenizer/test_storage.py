"""A tokenizer on disk."""

import json
import re
from pathlib import Path

import pytest

from tinylm.errors import TinylmError, UsageError
from tinylm.tokenizer import Tokenizer

BYTES = {byte: bytes([byte]) for byte in range(256)}
TEXT = "## the\u00a0the <|im end|>\u0120"


@pytest.fixture
def tokenizer() -> Tokenizer:
    """Merges of `#`, of spaces and of a byte that is no character, and a special token with a space."""
    merges = [(b"#", b"#"), (b" ", b"##"), (b"t", b"h"), (b"\xc2", b"\xa0"), (b"#version:", b"x")]
    tokens = [left + right for left, right in merges]
    vocab = BYTES | dict(enumerate([*tokens, b"#version:"], start=256))
    return Tokenizer(vocab, merges, ["<|im end|>", "<|é|>"], pattern="cl100k")


def test_loading_gives_back_what_was_saved(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """Ids, merges that begin with `#`, special tokens and the pattern survive, also when a directory is replaced."""
    for _ in range(2):
        tokenizer.save(tmp_path / "t")
    loaded = Tokenizer.load(tmp_path / "t")
    assert loaded.fingerprint == tokenizer.fingerprint
    assert loaded.merges == tokenizer.merges
    assert loaded.special_tokens == tokenizer.special_tokens
    assert loaded.encode(TEXT) == tokenizer.encode(TEXT)
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_files_are_of_gpt2s_form(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """The first line is the version, merges follow with `Ġ` for a space, the vocabulary maps such text to ids."""
    tokenizer.save(tmp_path / "t")
    lines = (tmp_path / "t/merges.txt").read_text(encoding="utf-8").split("\n")
    assert lines == ["#version: 0.2", "# #", "Ġ ##", "t h", "Â ł", "#version: x", ""]
    vocab = json.loads((tmp_path / "t/vocab.json").read_text(encoding="utf-8"))
    assert (vocab["Ġ##"], vocab["<|im end|>"], vocab["<|é|>"]) == (257, 262, 263)


def test_gpt2s_two_files_are_enough(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """Without special_tokens.json a directory is a tokenizer of GPT-2's pattern; `from_files` adds special tokens."""
    Tokenizer(tokenizer.vocab, tokenizer.merges).save(tmp_path)
    (tmp_path / "special_tokens.json").unlink()
    (tmp_path / "merges.txt").write_text("# #\r\nt h\r\n\r\n")
    loaded = Tokenizer.load(tmp_path)
    assert (loaded.merges, loaded.special_tokens, loaded.pattern) == ([(b"#", b"#"), (b"t", b"h")], [], "gpt2")
    named = Tokenizer.from_files(tmp_path / "vocab.json", tmp_path / "merges.txt", ["<|end|>"])
    assert named.encode("th<|end|>") == [258, 264]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("vocab.json", "[1]", "vocab.json: not a vocabulary, which is a JSON object"),
        ("vocab.json", '{"a": 1.5}', "vocab.json: not a vocabulary"),
        ("vocab.json", '{"a": 1, "b": 1}', "vocab.json: two tokens have the same id"),
        ("vocab.json", '{"a b": 1}', "vocab.json: ' ' is not a character of GPT-2's byte-to-unicode form"),
        ("vocab.json", '{"a": 1}', "lacks 255 of the 256 bytes"),
        ("vocab.json", "{", "vocab.json: not valid JSON"),
        ("merges.txt", "t h\nt h e\n", "merges.txt:2: 't h e' is not a merge"),
        ("merges.txt", "t 中\n", "merges.txt:1: 't 中' is not a merge"),
        ("merges.txt", "z q\n", "b'zq' is not in the vocabulary"),
        ("special_tokens.json", "{}", "special_tokens.json: lacks the keys special_tokens and pattern"),
    ],
)
def test_damaged_files_are_named(tokenizer: Tokenizer, tmp_path: Path, file: str, content: str, message: str) -> None:
    """Each kind of damage is an error that names the file and what is wrong with it."""
    tokenizer.save(tmp_path)
    (tmp_path / file).write_text(content, encoding="utf-8")
    with pytest.raises(TinylmError, match=re.escape(message)):
        Tokenizer.load(tmp_path)


def test_what_is_not_a_tokenizer_directory(tmp_path: Path) -> None:
    """A missing directory, and one with other things, are errors that say how to make one."""
    with pytest.raises(TinylmError, match="none: no such directory; `tinylm train-bpe` makes"):
        Tokenizer.load(tmp_path / "none")
    with pytest.raises(TinylmError, match=r"has no vocab\.json and merges\.txt; `tinylm train-bpe` makes"):
        Tokenizer.load(tmp_path)


def test_a_failed_save_leaves_the_old_directory(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk is full at the last file, what was there before is still there, and nothing else."""
    tokenizer.save(tmp_path / "t")

    def no_space(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tinylm.tokenizer.storage.tokenizer_json", no_space)
    with pytest.raises(OSError, match="No space left"):
        Tokenizer(BYTES, []).save(tmp_path / "t")
    assert Tokenizer.load(tmp_path / "t").fingerprint == tokenizer.fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_gpt2s_own_special_token_is_one(tmp_path: Path) -> None:
    """Its two files have `<|endoftext|>` in the vocabulary and do not say what it is."""
    Tokenizer(BYTES, [], ["<|endoftext|>"]).save(tmp_path / "t")
    (tmp_path / "t" / "special_tokens.json").unlink()
    loaded = Tokenizer.load(tmp_path / "t")
    assert loaded.special_tokens == ["<|endoftext|>"]
    assert len(loaded.encode("<|endoftext|>")) == 1


def test_nothing_but_a_tokenizer_is_replaced(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """What else a directory holds stays there, and a file stays a file."""
    Tokenizer(BYTES, []).save(tmp_path / "t")
    (tmp_path / "t" / "notes.md").write_text("mine")
    tokenizer.save(tmp_path / "t")
    assert Tokenizer.load(tmp_path / "t").fingerprint == tokenizer.fingerprint
    with pytest.raises(UsageError, match=r"notes\.md: is a file; a tokenizer is a directory"):
        tokenizer.save(tmp_path / "t" / "notes.md")
    assert (tmp_path / "t" / "notes.md").read_text() == "mine"


def test_tokens_written_alike_cannot_be_saved(tmp_path: Path) -> None:
    """A special token whose text is the written form of another token would be lost, so it is refused."""
    tokenizer = Tokenizer(BYTES | {256: b" t"}, [(b" ", b"t")], ["Ġt"])
    with pytest.raises(TinylmError, match="two tokens of this vocabulary are written alike"):
        tokenizer.save(tmp_path / "t")
