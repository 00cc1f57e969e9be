"""The figures of a page as PNG."""

from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from tinylm.experiments.report.page import page_of
from tinylm.experiments.report.pictures import draw_sweep, picture_files, save_picture


def test_each_figure_is_a_picture(written: Any, tmp_path: Path) -> None:
    """Files are numbered in the order of the page, and are whole PNGs."""
    for kind, count in (("run", 1), ("rates", 2), ("board", 3)):
        files = picture_files(page_of(getattr(written, kind)), tmp_path / f"{kind}.html")
        assert [file.name for file in files] == [f"{kind}-{number}.png" for number in range(1, count + 1)]
        for file, figure in files.items():
            save_picture(figure, file)
            content = file.read_bytes()
            assert content.startswith(b"\x89PNG")
            assert content.endswith(b"IEND\xaeB`\x82")


@pytest.mark.parametrize(("tried", "scale"), [((0.1, 0.3, 1.0), "log"), ((0.0, 0.1, 0.3), "linear")])
def test_zero_has_a_place_of_its_own(tried: tuple[float, ...], scale: str) -> None:
    """A logarithmic axis has none for it: where 0 was tried, as by a sweep of weight decay, the axis is linear."""
    axes = Figure().subplots()
    points = [[x, 3.0 + x, "", "done"] for x in tried]
    draw_sweep(axes, {"label": "weight decay", "lines": [{"name": "", "points": points}]})
    assert axes.get_xscale() == scale
    places = axes.transData.transform([(x, 3.0) for x in tried])[:, 0]
    assert list(places) == sorted(set(places))
