"""What `tinylm leaderboard` shows."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tinylm.commands.console import count_text, duration, table
from tinylm.commands.differences_table import differences_table

if TYPE_CHECKING:
    from tinylm.experiments.leaderboard.board import Board, Entry
    from tinylm.experiments.leaderboard.ranking import Ranked
    from tinylm.experiments.leaderboard.verification import Verification


def entry_json(entry: "Entry", board: "Board") -> dict[str, Any]:
    """An entry's figures; its whole configuration stays in its file."""
    values = asdict(entry) | {"run": str(board.run(entry)), "tokens_per_parameter": entry.tokens_per_parameter}
    del values["config"]
    return values


def ranked_json(ranked: "Ranked", board: "Board") -> dict[str, Any]:
    """An entry with its places and what it does differently."""
    return {
        "rank": ranked.rank,
        **entry_json(ranked.entry, board),
        "rank_valid_loss": ranked.rank_valid_loss,
        "rank_bits_per_byte": ranked.rank_bits_per_byte,
        "differences": ranked.differences,
    }


def board_text(ranked: "Sequence[Ranked]") -> str:
    """The ranking, and under it what entries do differently."""
    headers = [
        "rank", "entry", "valid loss", "bits/byte", "rank by it", "parameters", "tokens", "per parameter", "time",
        "H100-h", "tokens/s", "verified", "round",
    ]  # fmt: skip
    text = table(headers, [_row(item) for item in ranked], left=2)
    return f"{text}\n\n{differences_table({item.entry.name: item.differences for item in ranked})}"


def _row(item: "Ranked") -> list[str]:
    entry = item.entry
    return [
        str(item.rank),
        entry.name,
        f"{entry.valid_loss:.4f}",
        f"{entry.bits_per_byte:.4f}",
        str(item.rank_bits_per_byte),
        count_text(entry.num_parameters),
        count_text(entry.tokens),
        f"{entry.tokens_per_parameter:.1f}",
        duration(entry.seconds),
        f"{entry.h100_hours:.3g}",
        f"{entry.tokens_per_second:,.0f}",
        {None: "not yet", True: "yes", False: "NO"}[entry.verified],
        entry.round or "",
    ]


def verifications_text(outcomes: "Sequence[Verification]") -> str:
    """What was entered beside what was measured."""
    rows = [
        [
            outcome.name,
            f"{outcome.claimed:.4f}",
            "-" if outcome.measured is None else f"{outcome.measured:.4f}",
            {None: "?", True: "yes", False: "NO"}[outcome.holds],
        ]
        for outcome in outcomes
    ]
    return table(["entry", "entered", "measured", "holds"], rows)
