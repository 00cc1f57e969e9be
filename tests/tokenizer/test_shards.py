"""Inputs divided into parts: nothing lost, nothing twice, no pre-token cut in two."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinylm.errors import TinylmError, UsageError
from tinylm.tokenizer.pretokenize import pretokenizer
from tinylm.tokenizer.shards import Shard, shard_sources
from tinylm.tokenizer.sources import Source

SPECIAL = "<|e|>"
TEXT = st.lists(st.sampled_from(["a word ", "it's", "  ", "\n", "天地", "é", "12", SPECIAL, "'"]), min_size=1).map(
    "".join
)


def parts(paths: list[Path], shards: list[str], pattern: str = "gpt2") -> list[bytes]:
    """The text of each shard; empty where there is nothing left for it."""
    texts = []
    for shard in shards:
        sources: list[Source] = []
        with contextlib.suppress(TinylmError):
            sources = shard_sources(paths, Shard.parse(shard), [SPECIAL], pattern)
        texts.append(b"".join(Path(source.path).read_bytes()[source.start : source.stop] for source in sources))
    return texts


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where inputs go."""
    return tmp_path_factory.mktemp("shards")


@given(texts=st.lists(TEXT, min_size=1, max_size=3), count=st.integers(1, 9))
def test_parts_joined_are_the_whole(directory: Path, texts: list[str], count: int) -> None:
    """All shards of all files, one after the other, and no pre-token or special token spans two of them."""
    paths = []
    for number, text in enumerate(texts):
        paths.append(directory / f"{number}.txt")
        paths[-1].write_text(text, encoding="utf-8")
    found = parts(paths, [f"{i}/{count}" for i in range(1, count + 1)])
    assert b"".join(found).decode() == "".join(texts)
    if len(texts) == 1 and SPECIAL not in texts[0]:
        split = pretokenizer("gpt2")
        assert [word for part in found for word in split(part.decode())] == list(split(texts[0]))
    assert sum(part.count(SPECIAL.encode()) for part in found) == "\0".join(texts).count(SPECIAL)


@given(text=TEXT, count=st.integers(2, 9), data=st.data())
def test_several_parts_are_those_parts(directory: Path, text: str, count: int, data: st.DataObject) -> None:
    """`1-3/4` is 1/4, 2/4 and 3/4; what is held out is the rest."""
    path = directory / "text.txt"
    path.write_text(text, encoding="utf-8")
    last = data.draw(st.integers(1, count - 1))
    singly = parts([path], [f"{i}/{count}" for i in range(1, last + 1)])
    several, rest = parts([path], [f"1-{last}/{count}", f"{last + 1}-{count}/{count}"])
    assert several == b"".join(singly)
    assert several + rest == path.read_bytes()


def test_parts_are_about_equal(directory: Path) -> None:
    """Each within a pre-token of its share."""
    path = directory / "words.txt"
    path.write_text("some words " * 1000, encoding="utf-8")
    assert [abs(len(part) - 2750) <= 11 for part in parts([path], ["1/4", "2/4", "3/4", "4/4"])] == [True] * 4
    assert abs(len(parts([path], ["1-3/4"])[0]) - 8250) <= 11


def test_other_patterns_are_cut_at_documents(directory: Path) -> None:
    """Of a pattern of one's own only special tokens are known to end a pre-token."""
    path = directory / "documents.txt"
    path.write_text(f"one text{SPECIAL}another{SPECIAL}a third", encoding="utf-8")
    assert parts([path], ["1/2", "2/2"], pattern=r"\w+|\W+") == [b"one text<|e|>another<|e|>", b"a third"]


@pytest.mark.parametrize("text", ["0/4", "5/4", "3-2/4", "1-5/4", "0-2/4", "1/", "a/b", "1-/4", "-1/4", "2"])
def test_what_is_no_shard(text: str) -> None:
    """One line that says what one looks like."""
    with pytest.raises(UsageError, match=r"--shard .*: must be I/N or I-J/N"):
        Shard.parse(text)


def test_more_shards_than_text(directory: Path) -> None:
    """A shard that has no text says so."""
    path = directory / "short.txt"
    path.write_text("word", encoding="utf-8")
    with pytest.raises(TinylmError, match="--shard 9/9: there is nothing left for it"):
        shard_sources([path], Shard.parse("9/9"), [], "gpt2")


def test_names() -> None:
    """As they were given."""
    assert [str(Shard.parse(text)) for text in ("2/16", "1-15/16", "3-3/4")] == ["2/16", "1-15/16", "3/4"]


def test_compressed_input_is_refused(directory: Path) -> None:
    """It cannot be read from the middle."""
    path = directory / "text.txt.gz"
    path.write_bytes(b"\x1f\x8b" + bytes(20))
    with pytest.raises(UsageError, match="not compressed"):
        shard_sources([path], Shard.parse("1/2"), [], "gpt2")
