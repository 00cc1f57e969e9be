"""The page of a leaderboard."""

from collections.abc import Sequence
from pathlib import Path

from tinylm.configs.loader import to_toml
from tinylm.experiments.leaderboard.board import Board
from tinylm.experiments.leaderboard.ranking import Ranked, rank
from tinylm.experiments.report.run_page import curves_chart, environment, samples
from tinylm.experiments.report.sections import Bar, Bars, Chart, Page, Section, Table, Text
from tinylm.experiments.report.series import read_series
from tinylm.experiments.trials import short_keys, value_text


def board_page(directory: Path) -> Page:
    """The ranking, what entries do differently, loss against size, learning curves, the rules."""
    board = Board.existing(directory)
    ranked = rank(board.entries(), "valid_loss")
    there = [item for item in ranked if (board.run(item.entry) / "metrics.jsonl").is_file()]
    series = [read_series(item.entry.name, board.run(item.entry), num_series=len(there)) for item in there]
    sections: list[Section] = [
        ranking_table(ranked),
        bits_bars(ranked),
        *differences_tables(ranked),
        size_chart(ranked),
        *([curves_chart(series)] if series else []),
        *(samples(board.run(there[0].entry), f"Samples of {there[0].entry.name}") if there else []),
        Text("Rules", to_toml(board.rules()).strip(), folded=True),
        *environment([board.run(item.entry) for item in there]),
    ]
    return Page(directory.resolve().name, "Leaderboard", findings(ranked), sections if ranked else sections[-1:])


def findings(ranked: Sequence[Ranked]) -> list[str]:
    """Who leads, and whether it was checked."""
    if not ranked:
        return ["There are no entries yet."]
    first = ranked[0].entry
    entries = "one entry" if len(ranked) == 1 else f"{len(ranked)} entries"
    verified = sum(item.entry.verified is True for item in ranked)
    return [
        f"{first.name} leads {entries}: validation loss {first.valid_loss:.4f}, "
        f"{first.bits_per_byte:.4f} bits per byte, {first.num_parameters:,} parameters, "
        f"{first.tokens_per_parameter:.1f} training tokens for each.",
        f"{verified} of {len(ranked)} are verified: their checkpoints were evaluated again and gave the same loss.",
    ]


def ranking_table(ranked: Sequence[Ranked]) -> Table:
    """The entries, best first."""
    headers = [
        "entry", "rank", "validation loss", "bits per byte", "rank by bits", "parameters", "tokens",
        "tokens per parameter", "seconds", "H100-hours", "tokens per second", "verified", "round", "commit",
    ]  # fmt: skip
    return Table("Ranking", headers, [_row(item) for item in ranked])


def _row(item: Ranked) -> list[str]:
    entry = item.entry
    return [
        entry.name,
        str(item.rank),
        f"{entry.valid_loss:.4f}",
        f"{entry.bits_per_byte:.4f}",
        str(item.rank_bits_per_byte),
        f"{entry.num_parameters:,}",
        f"{entry.tokens:,}",
        f"{entry.tokens_per_parameter:.1f}",
        f"{entry.seconds:,.0f}",
        f"{entry.h100_hours:.3g}",
        f"{entry.tokens_per_second:,.0f}",
        {None: "not yet", True: "yes", False: "no"}[entry.verified],
        entry.round or "",
        entry.commit[:8] if not entry.commit.startswith("release") else entry.commit,
    ]


def bits_bars(ranked: Sequence[Ranked]) -> Bars:
    """Bits per byte side by side: fair across tokenizers."""
    longest = max((item.entry.bits_per_byte for item in ranked), default=1.0)
    best = min((item.entry.bits_per_byte for item in ranked), default=1.0)
    bars = [
        Bar(
            item.entry.name,
            item.entry.bits_per_byte / longest,
            f"{item.entry.bits_per_byte:.4f}",
            "" if item.entry.bits_per_byte == best else f"{item.entry.bits_per_byte / best - 1:+.1%}",
        )
        for item in ranked
    ]
    return Bars("Bits per byte", bars, "Percentages: against the best.")


def differences_tables(ranked: Sequence[Ranked]) -> list[Section]:
    """What entries do differently; nothing when they do not."""
    keys = list(ranked[0].differences) if ranked else []
    shown = short_keys(keys)
    rows = [
        [item.entry.name, *("" if item.differences[key] is None else value_text(item.differences[key]) for key in keys)]
        for item in ranked
    ]
    return [Table("What differs", ["entry", *(shown[key] for key in keys)], rows)] if keys else []


def size_chart(ranked: Sequence[Ranked]) -> Chart:
    """Does a smaller model on more tokens win?"""
    by_size = sorted((item.entry for item in ranked), key=lambda entry: entry.num_parameters)
    points = [[entry.num_parameters, entry.valid_loss, entry.name, "done"] for entry in by_size]
    rows = [
        [entry.name, f"{entry.num_parameters:,}", f"{entry.tokens:,}", f"{entry.valid_loss:.4f}"] for entry in by_size
    ]
    return Chart(
        title="Validation loss against model size",
        description="Validation loss of each entry against its number of parameters; all had the same budget.",
        data={
            "type": "sweep",
            "key": "parameters",
            "label": "parameters",
            "lines": [{"name": "entries", "points": points}],
            "scatter": True,
        },
        numbers=Table("The numbers", ["entry", "parameters", "tokens", "validation loss"], rows),
    )
