"""How commands talk: what goes where, and how numbers read."""

import io
import json
import math

import pytest

from tinylm.commands import console
from tinylm.commands.console import Console, PlainProgress, bytes_text, count_text, duration, table


def test_result_is_one_object_under_json(capsys: pytest.CaptureFixture[str]) -> None:
    """--json prints one object with the schema's number and nothing else; NaN is null."""
    Console(json=True).result({"loss": math.nan, "steps": 3}, "for a person")
    out, err = capsys.readouterr()
    assert json.loads(out) == {"schema": 1, "loss": None, "steps": 3}
    assert err == ""


@pytest.mark.parametrize(
    ("encoding", "text", "line"),
    [
        ("utf-8", "café ⠿\n", '{"schema": 1, "text": "café ⠿"}\n'),
        ("cp1252", "café \\u283f\n", '{"schema": 1, "text": "caf\\u00e9 \\u283f"}\n'),
        ("ascii", "caf\\xe9 \\u283f\n", '{"schema": 1, "text": "caf\\u00e9 \\u283f"}\n'),
    ],
)
def test_stdout_of_any_encoding(encoding: str, text: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an encoding lacks is escaped: in a result for a person, in a streamed one, and, as JSON does it, in JSON."""
    for write, expected in (
        (lambda: Console().result({}, "café ⠿"), text),
        (lambda: Console().stream("café ⠿\n"), text),
        (lambda: Console(json=True).result({"text": "café ⠿"}, ""), line),
    ):
        written = io.BytesIO()
        monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding=encoding))
        write()
        assert written.getvalue().decode(encoding) == expected
        monkeypatch.undo()


def test_notes_go_to_stderr_unless_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    """Notes never touch stdout; --quiet drops them, but not warnings."""
    Console().note("hello")
    Console(quiet=True).note("unheard")
    Console(quiet=True).warn("look out")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "hello\nwarning: look out\n")


def test_piped_progress_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a terminal progress is plain lines with percentage and time left, and silent between them."""
    clock = iter([0.0, 1.0, 20.0, 21.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    with Console().progress("training", 100) as advance:
        advance(1, "loss 5")
        advance(50, "loss 3")
        advance(51, "loss 2")
    assert capsys.readouterr().err == "training  50%  19s left  loss 3\n"


def test_quiet_progress_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """--quiet has no progress."""
    with Console(quiet=True).progress("training", 100) as advance:
        advance(100)
    assert capsys.readouterr() == ("", "")


def test_table_aligns() -> None:
    """First column left, numbers right, a rule under the heads."""
    text = table(("name", "loss"), [("a", "1.5"), ("longer", "10.25")], title="runs")
    assert text.splitlines() == ["runs", "name     loss", "------  -----", "a         1.5", "longer  10.25"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.5, "0.5s"),
        (59, "59s"),
        (75, "1m15s"),
        (3700, "1h01m"),
        (200_000, "2d07h"),
        (4.4e8, "13.9 years"),
        (math.inf, "?"),
    ],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    """At most two units, the largest first."""
    assert duration(seconds) == text


def test_counts_and_bytes_read_well() -> None:
    """Decimal prefixes with two places."""
    assert count_text(35_938_816) == "35.94M"
    assert count_text(999) == "999"
    assert bytes_text(8_508_230_400) == "8.51 GB"
    assert bytes_text(12) == "12 B"


def test_time_left_of_resumed_work(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Work taken up at 60 % that does 10 % in 20 s has a minute left: what was done before took none of this time."""
    now = iter([0.0, 1.0, 21.0])
    monkeypatch.setattr("tinylm.commands.console.time.monotonic", lambda: next(now))
    progress = PlainProgress("training", 1.0)
    progress(0.6)
    progress(0.7, "loss 1.234")
    assert capsys.readouterr().err == "training  70%  1m00s left  loss 1.234\n"
