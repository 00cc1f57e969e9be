"""A leaderboard on disk: `board.toml` with the rules, and a file an entry. Imports no torch."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinylm.configs.loader import parse, read_toml, to_toml
from tinylm.errors import TinylmError, UsageError
from tinylm.experiments.leaderboard.rules import Rules
from tinylm.files import read_json, write_json, write_text


@dataclass(frozen=True, slots=True)
class Entry:
    """A run that kept the rules; the keys of its JSON file."""

    name: str
    round: str | None
    """Which part of the competition: exploration, optimized."""
    run: str
    """Its directory, relative to the board's."""
    added: str
    """Date and time, UTC."""
    commit: str
    """Of the sources, or the installed release."""
    device: str
    config: dict[str, Any]
    tokenizer: str
    """Fingerprint: losses per token compare within one tokenizer only."""
    checkpoint: str
    checkpoint_sha256: str
    valid_loss: float
    valid_perplexity: float
    bits_per_byte: float
    num_parameters: int
    steps: int
    tokens: int
    seconds: float
    h100_hours: float
    tokens_per_second: float
    verified: bool | None = None
    """Whether evaluating the checkpoint again gave the same loss; None when nobody has."""
    verified_loss: float | None = None

    @property
    def tokens_per_parameter(self) -> float:
        """Training tokens for each parameter."""
        return self.tokens / self.num_parameters


class Board:
    """Rules and entries of one leaderboard."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.rules_file = directory / "board.toml"
        self.entries_directory = directory / "entries"

    @classmethod
    def existing(cls, directory: Path) -> "Board":
        """Raises: TinylmError when there is no board."""
        board = cls(directory)
        if not board.rules_file.is_file():
            raise TinylmError(f"{directory}: no leaderboard here; `tinylm leaderboard add RUN --board DIR` begins one")
        return board

    def rules(self) -> Rules:
        """Raises: ConfigError naming every problem of `board.toml`."""
        return parse(Rules, read_toml(self.rules_file), source=str(self.rules_file))

    def begin(self, rules: Rules) -> None:
        """Write the rules of a new board."""
        write_text(
            self.rules_file,
            f"# The rules of this leaderboard; entries are checked when they are added.\n{to_toml(rules)}",
        )

    def entries(self) -> list[Entry]:
        """All entries, by name."""
        return [Entry(**read_json(path)) for path in sorted(self.entries_directory.glob("*.json"))]

    def require_name(self, name: str, *, force: bool) -> None:
        """Raises: UsageError when an entry cannot have this name, or, unless forced, another has it already."""
        if name.startswith(".") or set(name) & set("/\\"):
            raise UsageError(f"--name {name!r}: an entry is a file of its name, which has no / or \\, nor a . in front")
        if self._file(name).exists() and not force:
            raise UsageError(f"{self.directory}: has an entry {name!r}; choose another --name, or --force")

    def add(self, entry: Entry, *, force: bool) -> None:
        """Raises: UsageError as `require_name` does."""
        self.require_name(entry.name, force=force)
        self.replace(entry)

    def replace(self, entry: Entry) -> None:
        """Write an entry, atomically."""
        write_json(self._file(entry.name), dataclasses.asdict(entry))

    def run(self, entry: Entry) -> Path:
        """The entry's run directory, from where the command runs."""
        return self.directory / entry.run

    def _file(self, name: str) -> Path:
        return self.entries_directory / f"{name}.json"
