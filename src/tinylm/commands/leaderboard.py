"""`tinylm leaderboard`: runs under one set of rules, ranked and checked."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tinylm.commands import options
from tinylm.commands.console import Console
from tinylm.commands.leaderboard_tables import board_text, entry_json, ranked_json, verifications_text
from tinylm.errors import NegativeResultError, TinylmError, UsageError

if TYPE_CHECKING:
    from tinylm.experiments.leaderboard.board import Board, Entry
    from tinylm.experiments.leaderboard.rules import Rules, RunFacts
    from tinylm.experiments.leaderboard.verification import Verification

BoardOption = Annotated[Path, typer.Option("--board", metavar="DIR", help="The leaderboard's directory.")]

leaderboard = typer.Typer(
    name="leaderboard",
    help="Runs under one budget and one set of rules, ranked and checked.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@leaderboard.command("add")
def add(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run that has ended.")],
    board: BoardOption,
    name: Annotated[str | None, typer.Option("--name", help="Of the entry. Default: the run's.")] = None,
    round_: Annotated[str | None, typer.Option("--round", help="A part of the competition, as exploration.")] = None,
    budget_seconds: Annotated[float | None, typer.Option(help="Rule of a new board: seconds of training.")] = None,
    budget_h100_hours: Annotated[
        float | None, typer.Option(help="Rule of a new board: the same in hours of an H100.")
    ] = None,
    any_commit: Annotated[
        bool, typer.Option("--any-commit", help="Rule of a new board: sources need not be those of a commit.")
    ] = False,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Enter a run that keeps the rules: budget, data, whole validation set, sound weights, honest summary, a commit.

    The first run entered begins the board: its texts and its budget become the rules, in board.toml, to be edited.
    A broken rule is named, and the exit code is 3.

    Examples:

      tinylm leaderboard add runs/small --board boards/wiki

      tinylm leaderboard add runs/large --board boards/wiki --round exploration --name large-muon
    """
    from tinylm.experiments.leaderboard.board import Board
    from tinylm.experiments.leaderboard.facts import entry_from, gather_facts
    from tinylm.experiments.leaderboard.rules import broken_rules

    console = Console(json=json, quiet=quiet)
    place, name = Board(board), name or run.resolve().name
    place.require_name(name, force=force)
    given = {"budget_seconds": budget_seconds, "budget_h100_hours": budget_h100_hours}
    begun = place.rules_file.is_file()
    if begun and (any_commit or any(budget is not None for budget in given.values())):
        raise UsageError(f"{place.rules_file} has the rules already; edit them there")
    facts = gather_facts(run)
    rules = place.rules() if begun else _new_rules(place, facts, given, any_commit=any_commit)
    broken = broken_rules(rules, facts)
    if broken:
        raise NegativeResultError("\n".join([f"{run} is not entered:", *(f"  {line}" for line in broken)]))
    entry = entry_from(facts, board, name=name, round=round_)
    if not begun:
        place.begin(rules)
        console.note(f"a new board; its rules are in {place.rules_file}")
    place.add(entry, force=force)
    console.result(
        {"entry": entry_json(entry, place)},
        f"entered {entry.name}: valid loss {entry.valid_loss:.4f}, {entry.bits_per_byte:.4f} bits/byte\n"
        f"next: tinylm leaderboard verify --board {board}",
    )


def _new_rules(board: "Board", facts: "RunFacts", budgets: Mapping[str, float | None], *, any_commit: bool) -> "Rules":
    """The run's texts, and its budget unless one is given. Raises: UsageError when there is none, or no sound one."""
    from tinylm.configs.loader import parse
    from tinylm.experiments.leaderboard.rules import Rules

    if all(budget is None for budget in budgets.values()):
        budgets = {key: getattr(facts.config.train, key) for key in budgets}
    if all(budget is None for budget in budgets.values()):
        raise UsageError(
            f"{board.directory} is a new board and {facts.run} had no budget; "
            "give either --budget-seconds N or --budget-h100-hours N"
        )
    texts = {"valid_text_sha256": facts.valid_text_sha256, "train_text_sha256": facts.train_text_sha256}
    return parse(
        Rules, {**budgets, **texts, "clean_commit": not any_commit}, source=f"the rules of the new {board.directory}"
    )


@leaderboard.command("show")
def show(
    board: BoardOption,
    by: Annotated[
        Literal["loss", "bits-per-byte"], typer.Option("--by", help="Bits per byte are fair across tokenizers.")
    ] = "loss",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Rank the entries, and say what they do differently.

    Examples:

      tinylm leaderboard show --board boards/wiki

      tinylm leaderboard show --board boards/wiki --by bits-per-byte --json
    """
    from tinylm.experiments.leaderboard.board import Board
    from tinylm.experiments.leaderboard.ranking import rank

    place = Board.existing(board)
    rules = place.rules()
    ranked = rank(place.entries(), "valid_loss" if by == "loss" else "bits_per_byte")
    values = {"entries": [ranked_json(item, place) for item in ranked], "rules": rules.model_dump()}
    Console(json=json, quiet=quiet).result(values, board_text(ranked) if ranked else "no entries yet")


@leaderboard.command("verify")
def verify(
    board: BoardOption,
    names: Annotated[list[str] | None, typer.Argument(metavar="[ENTRY]...", help="Default: all entries.")] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Evaluate checkpoints again on the whole validation text and compare.

    The exit code is 3 when an entry does not hold, and 1 when one could not be checked here, which is not held
    against it.

    Examples:

      tinylm leaderboard verify --board boards/wiki

      tinylm leaderboard verify large-muon --board boards/wiki
    """
    from tinylm.experiments.leaderboard.board import Board
    from tinylm.experiments.leaderboard.verification import verify as verify_entries

    console = Console(json=json, quiet=quiet)
    place = Board.existing(board)
    entries = _chosen(place, names)
    outcomes = []
    with console.progress("verifying", len(entries)) as advance:
        for outcome in verify_entries(place, entries):
            outcomes.append(outcome)
            advance(len(outcomes), outcome.name)
    console.result({"verifications": [asdict(outcome) for outcome in outcomes]}, verifications_text(outcomes))
    refuted = _reasons(outcomes, "do not hold", holds=False)
    unchecked = _reasons(outcomes, "could not be checked", holds=None)
    if refuted:
        raise NegativeResultError("\n".join([*refuted, *unchecked]))
    if unchecked:
        raise TinylmError("\n".join(unchecked))


def _reasons(outcomes: "Sequence[Verification]", what: str, *, holds: bool | None) -> list[str]:
    """A heading and a line for each entry with this outcome; nothing when there is none."""
    lines = [f"  {outcome.name}: {outcome.reason}" for outcome in outcomes if outcome.holds is holds]
    return [f"{len(lines)} of {len(outcomes)} entries {what}:", *lines] if lines else []


@leaderboard.command("report")
def report(
    board: BoardOption,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The page.")] = Path("leaderboard.html"),
    png: Annotated[bool, typer.Option("--png", help="Also the figures as pictures, beside the page.")] = False,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write the leaderboard as one HTML page; the same as `tinylm report DIR`.

    Examples:

      tinylm leaderboard report --board boards/wiki

      tinylm leaderboard report --board boards/wiki --out wiki.html --png
    """
    from tinylm.commands.report import report as report_on
    from tinylm.experiments.leaderboard.board import Board

    report_on(Board.existing(board).directory, out, png=png, force=force, json=json, quiet=quiet)


def _chosen(board: "Board", names: list[str] | None) -> "list[Entry]":
    """The named entries, or all. Raises: UsageError naming those that are not there."""
    entries = {entry.name: entry for entry in board.entries()}
    unknown = [name for name in names or () if name not in entries]
    if unknown:
        raise UsageError(f"{board.directory}: no entry {', '.join(unknown)}; there are {', '.join(entries)}")
    return [entries[name] for name in names or entries]
