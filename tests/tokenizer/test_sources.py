"""Inputs and ranges of their bytes."""

from pathlib import Path

from tinylm.tokenizer.sources import Source, total_size_bytes, whole


def test_size(tmp_path: Path) -> None:
    """The size is known for plain files and their ranges only."""
    (tmp_path / "a").write_text("xyz")
    (tmp_path / "b.gz").write_bytes(b"\x1f\x8b rest")
    assert total_size_bytes([*whole([tmp_path / "a"]), Source(tmp_path / "a", 1), Source(tmp_path / "a", 1, 2)]) == 6
    assert total_size_bytes(whole([tmp_path / "a", tmp_path / "b.gz"])) is None
    assert total_size_bytes(whole([tmp_path / "a", "-"])) is None


def test_a_range_has_its_bytes(tmp_path: Path) -> None:
    """Reading a range gives the bytes from start to stop, whatever the size of the reads."""
    (tmp_path / "a").write_bytes(bytes(range(100)))
    for start, stop, expected in ((0, 5, range(5)), (10, 20, range(10, 20)), (90, None, range(90, 100))):
        with Source(tmp_path / "a", start, stop).open() as stream:
            data = b"".join(iter(lambda stream=stream: stream.read(3), b""))
        assert data == bytes(expected)


def test_what_stands_before_a_range(tmp_path: Path) -> None:
    """A range knows whether a token ends right where it begins."""
    (tmp_path / "a").write_bytes(b"x<|e|>y")
    follows = [start for start in range(8) if Source(tmp_path / "a", start).follows_one_of([b"<|e|>", b"<|longer|>"])]
    assert follows == [6]
