"""Learning curves: what is drawn, where, and that odd records do no harm."""

import math
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tinylm.training.curves import MARGIN, Axis, curves, save_learning_curve, smooth, text_curve

STEPS = [{"step": step, "loss": 6 / step + 1, "lr": 1e-3, "tokens": 64 * step} for step in range(1, 101)]
EVALUATIONS = [{"step": step, "valid_loss": 6 / step + 1, "valid_perplexity": 5.0} for step in (25, 50, 75, 100)]


def test_records_are_told_apart_by_their_key() -> None:
    """A step's line has `loss`, an evaluation's has `valid_loss`; both become (step, loss) points."""
    train, smoothed, valid = curves(STEPS + EVALUATIONS)
    assert train[0] == (1, 7.0)
    assert [step for step, _ in smoothed] == list(range(1, 101))
    assert valid == [(25, 1.24), (50, 1.12), (75, 1.08), (100, 1.06)]


def test_a_loss_that_is_null_or_not_finite_is_left_out() -> None:
    """A diverged run's last lines cannot be drawn; the finite ones before them can."""
    odd = [{"step": 2, "loss": None}, {"step": 3, "loss": math.inf}, {"step": 4, "loss": math.nan}]
    assert curves([{"step": 1, "loss": 2.0}, *odd]).train == [(1, 2.0)]


def test_smoothing_keeps_a_constant_and_removes_noise() -> None:
    """A constant stays what it is; noise that alternates in sign nearly vanishes."""
    assert smooth([(step, 2.5) for step in range(500)]) == [(step, 2.5) for step in range(500)]
    noisy = [(step, 1.0 + (-1) ** step) for step in range(1000)]
    assert all(abs(loss - 1) < 0.07 for _, loss in smooth(noisy))


def test_smoothing_does_not_lag() -> None:
    """Away from the ends the smoothed value of a straight line is that line."""
    assert smooth([(step, 3.0 * step) for step in range(200)])[100] == pytest.approx((100, 300.0))


def test_text_curve_shows_the_fall() -> None:
    """The line starts at the top left and ends at the bottom right, between axes with round numbers."""
    lines = text_curve(STEPS + EVALUATIONS, width=40, height=12, unicode=False).splitlines()
    assert lines == [
        "loss (nats per token): ** training, smoothed  o validation",
        "        |*",
        "      4 + *",
        "        | *",
        "        | *",
        "      3 +  *",
        "        |  *",
        "      2 +  *",
        "        |   ****",
        "        |       *o******o******o*******o",
        "        +-------------------------------",
        "         0    20    40    60    80   100",
    ]


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize(("width", "height"), [(72, 16), (40, 8), (120, 30)])
def test_text_curve_keeps_to_its_size(width: int, height: int, unicode: bool) -> None:
    """As many lines as asked for, none of them wider than asked for."""
    lines = text_curve(STEPS + EVALUATIONS, width, height, unicode=unicode).splitlines()
    assert len(lines) == height
    assert max(map(len, lines[1:])) <= width


def test_ascii_curve_is_ascii() -> None:
    """The fallback can be printed by any terminal."""
    assert text_curve(STEPS + EVALUATIONS, unicode=False).isascii()


def test_braille_dots_are_where_the_points_are() -> None:
    """A falling straight line sets the dots of the diagonal of a 2 x 2 canvas, two wide and four high each."""
    line = [{"step": step, "loss": 8.0 - step} for step in range(9)]
    rows = text_curve(line, width=MARGIN + 3, height=5).splitlines()[1:3]
    assert [row[MARGIN + 1 :] for row in rows] == ["⠱⡀", " ⢣"]


@pytest.mark.parametrize("records", [[], [{"step": 1, "loss": None}], [{"step": 1, "note": "x"}]])
def test_nothing_to_draw(records: list[dict[str, object]], tmp_path: Path) -> None:
    """Without a finite loss the text is empty, and the picture has axes only."""
    assert text_curve(records) == ""
    save_learning_curve(records, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 0


ENORMOUS = {"step": 1, "loss": 4.3e28}
"""What a model without normalization begins with, before its gradient overflows."""


@pytest.mark.parametrize("records", [STEPS[:1], EVALUATIONS[:1], STEPS[:2], [ENORMOUS], [ENORMOUS, *STEPS[1:4]]])
def test_very_short_runs_are_drawn(records: list[dict[str, float]]) -> None:
    """One point is enough."""
    assert any(mark in text_curve(records) for mark in "●⠒⠤⡇⠉⣀⢣⠑")


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 100, [0, 20, 40, 60, 80, 100]), (0.9, 2.1, [1.0, 1.5, 2.0]), (0, 40_000, [0, 10_000, 20_000, 30_000, 40_000])],
)
def test_ticks_are_round_numbers(low: float, high: float, ticks: list[float]) -> None:
    """Multiples of 1, 2 or 5 times a power of ten, inside the range, never more than asked for and one."""
    assert Axis(low, high, 50).ticks(5) == pytest.approx(ticks)


def test_picture_is_a_png_or_an_svg_by_its_name(tmp_path: Path) -> None:
    """The suffix chooses the format, and both axes are labelled."""
    save_learning_curve(STEPS + EVALUATIONS, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG\r\n")
    save_learning_curve(STEPS + EVALUATIONS, tmp_path / "curve.svg")
    comments = (tmp_path / "curve.svg").read_text()
    assert ElementTree.fromstring(comments).tag.endswith("svg")
    assert all(f"<!-- {label} -->" in comments for label in ("step", "loss (nats per token)", "validation"))
