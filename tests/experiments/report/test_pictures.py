"""The figures of a page as PNG."""

from pathlib import Path
from typing import Any

from tinylm.experiments.report.page import page_of
from tinylm.experiments.report.pictures import save_pictures


def test_each_figure_is_a_picture(written: Any, tmp_path: Path) -> None:
    """Files are numbered in the order of the page, and are whole PNGs."""
    for kind, count in (("run", 1), ("rates", 2), ("board", 3)):
        files = save_pictures(page_of(getattr(written, kind)), tmp_path / f"{kind}.html")
        assert [file.name for file in files] == [f"{kind}-{number}.png" for number in range(1, count + 1)]
        for file in files:
            content = file.read_bytes()
            assert content.startswith(b"\x89PNG")
            assert content.endswith(b"IEND\xaeB`\x82")
