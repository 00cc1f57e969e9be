"""What `tinylm train-bpe` says of a vocabulary."""

from pathlib import Path

from tinylm.commands.vocabulary_report import held_out_report, longest_tokens, printable
from tinylm.tokenizer import Tokenizer
from tinylm.tokenizer.sources import whole


def test_held_out_text(tmp_path: Path) -> None:
    """Bytes per token and the share of the vocabulary used are those of the text's encoding."""
    tokenizer = Tokenizer({byte: bytes([byte]) for byte in range(256)} | {256: b"th"}, [(b"t", b"h")], ["<|e|>"])
    (tmp_path / "a").write_text("the<|e|>")
    assert held_out_report(tokenizer, whole([tmp_path / "a"])) == {
        "input_bytes": 8,
        "num_tokens": 3,
        "bytes_per_token": 8 / 3,
        "vocab_share_used": 3 / 258,
    }


def test_longest_tokens() -> None:
    """The longest come first, as text that is safe to show."""
    assert longest_tokens([(b"a", b"b"), (b"ab", b"\n")]) == ["ab\\n", "ab"]


def test_printable() -> None:
    """Bytes that are no character, control characters and invisible ones become escapes; other text stays."""
    assert printable(" the 天é".encode()) == " the 天é"
    assert printable(b"\xc3\xa9\xc3") == "é\\xc3"
    assert printable("\x1b[31m\n\u202e".encode()) == "\\x1b[31m\\n\\u202e"
