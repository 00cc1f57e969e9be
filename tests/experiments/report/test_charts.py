"""The figures in a real browser: drawn without complaint, read by mouse, touch and keys, on any screen and on paper."""

from pathlib import Path
from typing import Any

import pytest

from tinylm.experiments.report.page import page_of, write_page

KINDS = ["run", "rates", "ablations", "grid", "board"]
CURVES = "[...document.querySelectorAll('figure.chart')].at(-1)"


@pytest.fixture(scope="session")
def pages(written: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of each kind, on disk."""
    directory = tmp_path_factory.mktemp("pages")
    for kind in KINDS:
        write_page(page_of(getattr(written, kind)), directory / f"{kind}.html")
    return {kind: directory / f"{kind}.html" for kind in KINDS}


def middle_of_curves(browser: Any) -> tuple[float, float]:
    """Where the middle of the learning curves is on the screen."""
    left, top, width, height = browser.evaluate(
        f"(() => {{ const svg = {CURVES}.querySelector('svg'); svg.scrollIntoView({{block: 'center'}});"
        "const box = svg.getBoundingClientRect(); return [box.left, box.top, box.width, box.height]; })()"
    )
    return left + width / 2, top + height / 2


def change(browser: Any, label: str, value: str) -> None:
    """Choose in the menu, or tick the box, of the learning curves that has this label."""
    browser.evaluate(
        f"(() => {{ const labels = [...{CURVES}.querySelectorAll('label')];"
        f"const label = labels.find((one) => one.textContent.startsWith('{label}'));"
        f"const control = label.querySelector('select, input'); control.value = '{value}'; control.checked = true;"
        "control.dispatchEvent(new Event('change')); })()"
    )


def axis_label(browser: Any) -> str:
    """What the learning curves are drawn against."""
    return str(browser.evaluate(f"[...{CURVES}.querySelectorAll('svg > text')].at(-2).textContent"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("width", "dark"), [(1000, False), (360, True)])
def test_every_page_draws_without_complaint(
    kind: str, width: int, dark: bool, pages: dict[str, Path], browser: Any
) -> None:
    """No error, no request, curves with points, and nothing wider than the screen, be it a phone's in the dark."""
    browser.open(pages[kind], width=width, dark=dark)
    assert browser.problems == []
    points = browser.evaluate(f"[...{CURVES}.querySelectorAll('.curve')].map((curve) => curve.points.length)")
    assert points
    assert all(count >= 4 for count in points)
    assert not browser.evaluate(f"/NaN|Infinity/.test({CURVES}.innerHTML)")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    ground = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(17, 20, 24)" if dark else "rgb(255, 255, 255)")


def test_the_pointer_reads_values(pages: dict[str, Path], browser: Any) -> None:
    """Under the mouse the readout names the step and the loss of each curve there, the lowest first."""
    browser.open(pages["rates"])
    browser.point_at(*middle_of_curves(browser))
    text = browser.evaluate(f"{CURVES}.querySelector('.readout').innerText")
    first, *rows = [line for line in text.splitlines() if line]
    assert 90 <= int(first.removeprefix("step ")) <= 110
    assert rows[0] == "lr=0.002"
    assert 1.35 <= float(rows[1]) < 1.6
    browser.point_at(1, 1)
    assert browser.evaluate(f"{CURVES}.querySelector('.readout').hidden")


def test_keys_read_values_aloud(pages: dict[str, Path], browser: Any) -> None:
    """Arrow keys move along the curves, and what is there is in a live region for a screen reader."""
    browser.open(pages["run"])
    browser.evaluate(f"{CURVES}.querySelector('svg').focus()")
    spoken = f"{CURVES}.querySelector('[aria-live]').textContent"
    browser.press("End")
    assert browser.wait_until(f"{spoken}.startsWith('step 200, ')")
    assert "validation 3.0" in browser.evaluate(spoken)
    browser.press("Home")
    assert browser.wait_until(f"{spoken}.startsWith('step 1, ')")
    browser.press("Escape")
    assert browser.wait_until(f"{CURVES}.querySelector('.readout').hidden")


@pytest.mark.parametrize(
    ("axis", "label"), [("tokens", "tokens"), ("seconds", "training time"), ("flops", "FLOPs"), ("steps", "step")]
)
def test_curves_against_any_cost(axis: str, label: str, pages: dict[str, Path], browser: Any) -> None:
    """The switch redraws the curves against steps, tokens, time and FLOPs, on linear and logarithmic axes."""
    browser.open(pages["rates"])
    change(browser, "Against", axis)
    assert axis_label(browser) == label
    linear = browser.evaluate(f"{CURVES}.querySelector('.curve').getAttribute('points')")
    change(browser, "logarithmic across", "on")
    change(browser, "logarithmic up", "on")
    logarithmic = browser.evaluate(f"{CURVES}.querySelector('.curve').getAttribute('points')")
    assert linear != logarithmic
    assert "NaN" not in linear + logarithmic
    assert browser.problems == []


def test_validation_losses_of_many_runs(pages: dict[str, Path], browser: Any) -> None:
    """The other switch shows evaluations in place of training losses."""
    browser.open(pages["rates"])
    change(browser, "Loss", "validation")
    assert browser.evaluate(f"{CURVES}.querySelectorAll('circle').length") == 4 * 4 + 2


def test_legend_hides_curves(pages: dict[str, Path], browser: Any) -> None:
    """A legend entry is a button that takes its curve away and brings it back."""
    browser.open(pages["rates"])
    count = f"{CURVES}.querySelectorAll('.curve').length"
    assert browser.evaluate(count) == 5
    browser.evaluate(f"{CURVES}.querySelector('.legend button').click()")
    assert browser.evaluate(count) == 4
    assert browser.evaluate(f"{CURVES}.querySelector('.legend button').getAttribute('aria-pressed')") == "false"
    browser.evaluate(f"{CURVES}.querySelector('.legend button').click()")
    assert browser.evaluate(count) == 5


def test_edge_of_stability_is_drawn(pages: dict[str, Path], browser: Any) -> None:
    """Between the last sound rate and the first broken one, with a cross for what diverged."""
    browser.open(pages["rates"])
    plot = "document.querySelector('figure.chart')"
    circles = browser.evaluate(f"[...{plot}.querySelectorAll('circle')].map((one) => one.cx.baseVal.value)")
    edge = browser.evaluate(f"{plot}.querySelector('.rule').x1.baseVal.value")
    assert circles[2] < edge < circles[3]
    assert browser.evaluate(f"{plot}.querySelector('.diverged').textContent") == "×"


def test_everything_can_be_reached_and_has_a_name(pages: dict[str, Path], browser: Any) -> None:
    """Figures, menus, boxes and buttons have names for those who do not see them, and tables have headings."""
    for page in pages.values():
        browser.open(page)
        assert browser.evaluate("[...document.querySelectorAll('svg')].every((one) => one.getAttribute('aria-label'))")
        assert browser.evaluate("[...document.querySelectorAll('svg')].every((one) => one.tabIndex === 0)")
        named = "(one) => one.labels?.[0]?.textContent || one.textContent"
        assert browser.evaluate(f"[...document.querySelectorAll('select, input, button')].every({named})")
        assert browser.evaluate("[...document.querySelectorAll('tbody tr')].every((row) => row.querySelector('th'))")
        assert browser.evaluate("document.documentElement.lang") == "en"


def test_page_prints(pages: dict[str, Path], browser: Any) -> None:
    """On paper there are no controls, and the ground is white even where the screen is dark."""
    browser.open(pages["rates"], dark=True)
    browser.send("Emulation.setEmulatedMedia", media="print")
    assert browser.evaluate(f"getComputedStyle({CURVES}.querySelector('.controls')).display") == "none"
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert len(browser.send("Page.printToPDF")["data"]) > 10_000
    assert browser.problems == []
