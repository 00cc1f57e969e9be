"""The notation that the stories are written in, and the telling of one story from it.

    = rule            the lines below are its alternatives, earlier ones likelier; `|` separates them too
    = thing / fault   a table: each line below is a row, and its cells belong together
    <rule>            an alternative, drawn anew each time
    {slot}            an alternative too, but drawn once and kept for the whole story
    {hero:his}        a character, in one of the cases of `Character`
    a <animal>        becomes `an` before a vowel
    ¶                 a new paragraph

Lines before the first `=` of a file say what it is about.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

SKEW = 1.5
"""1 draws all alternatives equally often; above that the first of n is drawn n ** (1 - 1 / SKEW) times as often."""
PRONOUNS = {
    "he": {"he": "he", "him": "him", "his": "his", "himself": "himself"},
    "she": {"he": "she", "him": "her", "his": "her", "himself": "herself"},
}
HEADER = re.compile(r"^= (.+)\n", re.MULTILINE)
RULE = re.compile(r"<(\w+)>")
ARTICLE = re.compile(r"\b(a) (?=[aeiou]|hour)(?!uni|use|one\b)", re.IGNORECASE)


class Table(NamedTuple):
    """Alternatives of one or more columns."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Grammar = Mapping[str, Table]


def parse(text: str) -> dict[str, Table]:
    """The tables of a text in the notation, by the name of each column."""
    _about, *parts = HEADER.split(text)
    tables: dict[str, Table] = {}
    for header, body in zip(parts[::2], parts[1::2], strict=True):
        lines = [line for part in body.split("\n") for line in part.split(" | ") if line.strip()]
        table = Table(_cells(header), tuple(_cells(line) for line in lines))
        tables |= dict.fromkeys(table.columns, table)
    return tables


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.split(" / "))


class Character(NamedTuple):
    """Someone in a story. `f"{mia:his} doll"` is "her doll"; a capital, as in `{mia:His}`, begins a sentence."""

    name: str
    gender: str
    kind: str = ""

    def __format__(self, case: str) -> str:
        cases = PRONOUNS[self.gender] | {"": self.name, "name": self.name, "kind": self.kind}
        word = cases[case.lower()]
        return word[0].upper() + word[1:] if case[:1].isupper() else word


class Telling(dict[str, str | Character]):
    """One story being told: draws from the grammar, and holds the slots that are fixed so far."""

    def __init__(self, grammar: Grammar, random: Callable[[], float]) -> None:
        self.grammar = grammar
        self.random = random

    def draw(self, column: str, skew: float = SKEW) -> list[str]:
        """A row of the table that has this column; earlier rows are likelier."""
        rows = self.grammar[column].rows
        return [self.tell(cell) for cell in rows[int(len(rows) * self.random() ** skew)]]

    def tell(self, text: str) -> str:
        """`text` with its rules drawn and its slots filled."""
        return RULE.sub(lambda rule: self.draw(rule[1])[0], text).format_map(self)

    def __missing__(self, slot: str) -> str | Character:
        self.update(zip(self.grammar[slot].columns, self.draw(slot), strict=True))
        return self[slot]


def polish(text: str) -> str:
    """The last touch: `a` becomes `an` where the next word asks for it, and `¶` a line break."""
    return ARTICLE.sub(r"\1n ", text).replace(" ¶ ", "\n")
