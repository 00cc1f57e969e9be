"""`tinylm make-stories`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tinylm.commands.make_stories import parse_size
from tinylm.data.stories import documents
from tinylm.errors import UsageError

Invoke = Callable[..., Result]


def test_the_file_holds_the_stories(invoke: Invoke, tmp_path: Path) -> None:
    """The file is the documents of that seed and size, and the JSON object counts them."""
    out = tmp_path / "stories.txt"
    result = invoke("make-stories", "--size", "20kB", "--seed", 3, "--out", out, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    expected = list(documents(3, 20_000))
    assert out.read_bytes() == b"".join(expected)
    size = len(b"".join(expected))
    assert json.loads(result.stdout) == {
        "schema": 1, "num_stories": len(expected), "num_bytes": size, "seed": 3, "out": str(out),
    }  # fmt: skip


def test_standard_output_gets_the_stories_and_nothing_else(invoke: Invoke) -> None:
    """`--out -` writes the text alone, to be piped on."""
    result = invoke("make-stories", "--size", "2k", "--out", "-")
    assert result.stdout_bytes == b"".join(documents(0, 2000))


def test_the_result_for_a_person(invoke: Invoke, tmp_path: Path) -> None:
    """One line: how many stories, how large, where."""
    out = tmp_path / "new" / "stories.txt"
    result = invoke("make-stories", "--size", "20kB", "--out", out)
    assert result.stdout == f"{len(list(documents(0, 20_000)))} stories, 20.67 kB, saved to {out}\n"


def test_an_existing_file_needs_force(invoke: Invoke, tmp_path: Path) -> None:
    """Without --force the file stays as it is; with it, it is replaced."""
    out = tmp_path / "stories.txt"
    out.write_text("mine")
    result = invoke("make-stories", "--size", "1kB", "--out", out)
    assert (result.exit_code, out.read_text()) == (2, "mine")
    assert "--force" in result.stderr
    assert invoke("make-stories", "--size", "1kB", "--out", out, "--force").exit_code == 0
    assert out.read_text().startswith("Once upon a time")


def test_nothing_is_left_of_a_file_that_was_not_finished(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interruption leaves neither half a file nor a temporary one."""

    def interrupted(_seed: int, _size_bytes: int) -> list[bytes]:
        raise KeyboardInterrupt

    monkeypatch.setattr("tinylm.data.stories.documents", interrupted)
    assert invoke("make-stories", "--out", tmp_path / "stories.txt").exit_code == 130
    assert list(tmp_path.iterdir()) == []


def test_json_and_text_cannot_share_standard_output(invoke: Invoke) -> None:
    """`--json --out -` is refused: either could be meant."""
    result = invoke("make-stories", "--out", "-", "--json")
    assert (result.exit_code, result.stdout) == (2, "")


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("1", 1),
        ("500kB", 500_000),
        ("5MB", 5_000_000),
        ("5m", 5_000_000),
        ("1.5 GB", 1_500_000_000),
        ("2tb", 2 * 10**12),
    ],
)
def test_sizes(text: str, size_bytes: int) -> None:
    """Decimal units in any case, with or without the B."""
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "MB", "0", "-1MB", "1e6", "5 apples", "1MiB"])
def test_not_a_size(text: str) -> None:
    """Anything else is answered with how to write it."""
    with pytest.raises(UsageError, match="write it as 500kB, 5MB or"):
        parse_size(text)
