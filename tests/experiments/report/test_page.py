"""The page as text: complete in itself, and nothing on it can break out of its place."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tinylm.errors import TinylmError
from tinylm.experiments.report.page import html, json_data, page_of
from tinylm.experiments.report.sweep_page import findings
from tinylm.experiments.trials import TrialResult

KINDS = ["run", "rates", "ablations", "grid", "board"]
VOID = {"meta", "br", "input", "link", "img"}


class Balance(HTMLParser):
    """Whether every element that opens also closes, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, _attributes: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


@pytest.mark.parametrize("kind", KINDS)
def test_page_is_whole(kind: str, written: Any) -> None:
    """Well-formed, without any address that would be loaded, and small."""
    text = html(page_of(getattr(written, kind)))
    balance = Balance()
    balance.feed(text)
    assert (balance.wrong, balance.open) == ([], [])
    assert not re.search(r"\b(src|href)=|@import|url\((?!#)", text)
    assert "https://" not in text
    assert set(re.findall(r"http://[^\"']*", text)) == {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert len(text.encode()) < 200_000


@pytest.mark.parametrize("kind", KINDS)
def test_text_from_runs_is_only_text(kind: str, written: Any) -> None:
    """A sample that looks like markup is shown as it is."""
    text = html(page_of(getattr(written, kind)))
    assert "<b>Lily</b>" not in text
    assert "&lt;/script&gt;&lt;b&gt;Lily&lt;/b&gt; &amp; Tom." in text


def test_data_cannot_end_its_script() -> None:
    """JSON in a script element holds no `<`, and reads back the same."""
    value = {"name": "</script><!--", "loss": float("nan")}
    assert "<" not in json_data(value)
    assert json.loads(json_data(value)) == {"name": "</script><!--", "loss": None}


def test_findings_of_a_rate_sweep(written: Any) -> None:
    """The best rate, its plateau and the edge of stability, in words."""
    best, diverged, plateau, edge = page_of(written.rates).findings
    assert best == "Best of 5 trials: lr=0.002, validation loss 1.3500, perplexity 3.86."
    assert diverged == "1 diverged."
    assert plateau == "Learning rates from 0.002 to 0.003 are about as good."
    assert "between 0.003 and 0.005" in edge
    assert "40% of the latter" in edge


def test_findings_of_a_stopped_sweep() -> None:
    """What has not ended is counted, and taken for no edge."""
    rates = {1e-3: ("done", 1.4), 2e-3: ("done", 1.3), 3e-3: ("running", None), 4e-3: ("waiting", None)}
    trials = [TrialResult(f"{lr}", {"optim.lr": lr}, *end, None, None, None, "") for lr, end in rates.items()]
    assert findings(trials) == [
        "1 running.", "1 waiting.", "No rate was broken: the edge of stability lies above those tried.",
    ]  # fmt: skip


def test_a_run_with_a_loss_beyond_all_bounds_has_a_page(written: Any, tmp_path: Path) -> None:
    """Its perplexity is infinite, and said to be."""
    run = shutil.copytree(written.run, tmp_path / "run")
    summary = json.loads((run / "summary.json").read_text()) | {"valid_loss": 1125.0}
    (run / "summary.json").write_text(json.dumps(summary))
    (finding,) = page_of(run).findings
    assert finding.endswith("validation loss 1125.0000, perplexity inf.")


def test_findings_of_a_leaderboard(written: Any) -> None:
    """Who leads, and how many were verified."""
    leads, verified = page_of(written.board).findings
    assert leads.startswith("small leads 2 entries: validation loss 3.5000")
    assert verified.startswith("1 of 2 are verified")


def test_each_kind_has_its_sections(written: Any) -> None:
    """Ablations have bars, a grid a heat map, a leaderboard its ranking; all have curves, samples and environment."""
    titles = {kind: [section.title for section in page_of(getattr(written, kind)).sections] for kind in KINDS}
    assert titles["run"][:3] == ["Learning curves", "Figures", "Samples: step 200"]
    assert titles["rates"][0] == "Validation loss against learning rate"
    assert titles["ablations"][0] == "Validation loss"
    assert titles["grid"][:2] == ["Validation loss", "Validation loss against learning rate"]
    assert titles["board"][:4] == ["Ranking", "Bits per byte", "What differs", "Validation loss against model size"]
    for kind in KINDS:
        assert {"Learning curves", "Environment"} <= set(titles[kind])
        assert any(title.startswith("Samples") for title in titles[kind])


def test_anything_else_has_no_page(tmp_path: Path) -> None:
    """A directory that is nothing we know is named."""
    with pytest.raises(TinylmError, match="neither a run nor a sweep nor a leaderboard"):
        page_of(tmp_path)
