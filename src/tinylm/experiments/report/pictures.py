"""A page's figures as PNG."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinylm.experiments.report.sections import Bars, Chart, Page
from tinylm.files import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCHES = (8.0, 4.8)
LOSS = "loss (nats per token)"


def picture_files(page: Page, out: Path) -> dict[Path, Chart | Bars]:
    """Where each figure goes, beside the page: `report.html` -> `report-1.png`, in the order of the page."""
    figures = [section for section in page.sections if isinstance(section, Chart | Bars)]
    return {out.with_name(f"{out.stem}-{number}.png"): figure for number, figure in enumerate(figures, start=1)}


def save_picture(section: Chart | Bars, file: Path) -> None:
    """Draw one figure."""
    from matplotlib.figure import Figure  # the object interface: no pyplot, no display, no global state

    figure = Figure(figsize=INCHES, dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.set_title(section.title)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    if isinstance(section, Bars):
        draw_bars(axes, section)
    elif section.data["type"] == "curves":
        draw_curves(axes, section.data["series"])
    else:
        draw_sweep(axes, section.data)
    with atomic_file(file) as stream:
        figure.savefig(stream, format="png")


def draw_bars(axes: "Axes", bars: Bars) -> None:
    """One under the other, as on the page."""
    shares = [bar.share or 0.0 for bar in bars.bars]
    drawn = axes.barh([bar.name for bar in bars.bars], shares, color="tab:blue")
    axes.bar_label(drawn, [f" {bar.text}  {bar.comparison}" for bar in bars.bars])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.3)
    axes.set_xticks([])
    axes.grid(False)


def draw_curves(axes: "Axes", runs: Sequence[dict[str, Any]]) -> None:
    """Smoothed training loss over tokens, and validation loss where there is one run only."""
    for run in runs:
        axes.plot(_tokens(run, "steps"), run["losses"], linewidth=1.4, label=run["name"])
    if len(runs) == 1:
        axes.plot(_tokens(runs[0], "valid_steps"), runs[0]["valid_losses"], "o-", markersize=4, label="validation")
    starts = sorted(run["losses"][len(run["losses"]) // 10] for run in runs if run["losses"])
    if starts:  # neither the steep beginning nor one broken run may flatten all others
        axes.set_ylim(top=1.5 * starts[len(starts) // 2])
    axes.set(xlabel="tokens", ylabel=LOSS)
    axes.legend(frameon=False, fontsize="small")


def _tokens(run: dict[str, Any], steps: str) -> list[int]:
    return [step * run["tokens_per_step"] for step in run[steps]]


def draw_sweep(axes: "Axes", data: dict[str, Any]) -> None:
    """Validation loss over what was swept; what diverged is a cross at the top."""
    scatter = data.get("scatter", False)
    for line in data["lines"]:
        done = [(x, loss) for x, loss, _, _ in line["points"] if loss is not None]
        axes.plot([x for x, _ in done], [loss for _, loss in done], "o" if scatter else "o-", label=line["name"])
    points = [point for line in data["lines"] for point in line["points"]]
    for x, loss, name, _ in points:
        if loss is None:
            axes.plot(x, 0.97, "x", color="tab:red", transform=axes.get_xaxis_transform())
        elif scatter:
            axes.annotate(name, (x, loss), xytext=(0, 7), textcoords="offset points", ha="center", fontsize="small")
    _scales(axes, sorted({x for x, _, _, _ in points}), keep_ticks=scatter)
    axes.set(xlabel=data["label"], ylabel=f"validation {LOSS}")
    if data.get("first_unstable"):
        _draw_edge(axes, data["stable_edge"], data["first_unstable"])
    if len(data["lines"]) > 1:
        axes.legend(frameon=False, fontsize="small")


def _scales(axes: "Axes", tried: Sequence[float], *, keep_ticks: bool) -> None:
    """Logarithmic where that has a place for all values, with plain numbers, and marks at what was tried."""
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    axes.set(xscale="log" if all(x > 0 for x in tried) else "linear", yscale="log")
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(StrMethodFormatter("{x:g}"))
    if not keep_ticks:
        axes.set_xticks(tried, [f"{x:g}" for x in tried], fontsize="small")
        axes.xaxis.set_minor_formatter(NullFormatter())


def _draw_edge(axes: "Axes", stable: float, unstable: float) -> None:
    edge, right = (stable * unstable) ** 0.5, axes.get_xlim()[1]
    axes.axvspan(edge, right, color="tab:red", alpha=0.08)
    axes.axvline(edge, color="tab:red", linestyle="--", linewidth=1)
    axes.text(
        edge, 0.97, "edge of stability ", color="tab:red", ha="right", va="top", transform=axes.get_xaxis_transform()
    )
    axes.set_xlim(right=right)
