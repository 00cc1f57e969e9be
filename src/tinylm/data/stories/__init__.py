"""Small stories without end, for `tinylm demo`: each has someone in it, a problem, a way out and a moral.

The texts are in `common.txt`, `worlds/` (who lives where, and with what) and `plots/` (what happens). Their notation is
explained in `grammar.py`; to add a plot, add a file.
"""

import functools
import itertools
import random
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable

from tinylm.data.stories.grammar import Character, Grammar, Table, Telling, parse, polish

END = "<|endoftext|>"

NAME_SKEW = 6.0
"""Half of all heroes have the first name, the same in every world: to carry a rare one on takes a larger model."""


def story(seed: int, index: int) -> str:
    """Story number `index` of the endless series that `seed` determines: a few paragraphs, one a line."""
    # Only random() is used: its sequence, unlike those of the other methods, is promised for every Python.
    chance = random.Random(f"{seed}:{index}").random
    telling = Telling(books()[int(len(books()) * chance())], chance)
    cast(telling)
    return polish(telling.tell("<story>"))


def stories(seed: int, start: int = 0) -> Iterator[str]:
    """The series of `seed` from number `start` on; it does not end."""
    return (story(seed, index) for index in itertools.count(start))


def documents(seed: int, size_bytes: int) -> Iterator[bytes]:
    """Whole stories, each with `END` on a line of its own, until there are at least `size_bytes` of them."""
    for text in stories(seed):
        if size_bytes <= 0:
            return
        document = f"{text}\n{END}\n".encode()
        size_bytes -= len(document)
        yield document


@functools.cache
def books() -> tuple[Grammar, ...]:
    """Every plot in every world, on top of what all stories share."""
    here = resources.files(__name__)
    common = parse((here / "common.txt").read_text("utf-8"))
    return tuple(common | world | plot for world in shelf(here / "worlds") for plot in shelf(here / "plots"))


def shelf(directory: Traversable) -> list[dict[str, Table]]:
    """The grammars in a directory, in the order of their names."""
    files = sorted(directory.iterdir(), key=lambda file: file.name)
    return [parse(file.read_text("utf-8")) for file in files]


def cast(telling: Telling) -> None:
    """Give the parts: a hero, a friend of another name, someone older at home, and someone wise."""
    hero = friend = Character(*telling.draw("name", NAME_SKEW))
    while friend.name == hero.name:
        friend = Character(*telling.draw("name", NAME_SKEW))
    telling |= {
        "hero": hero,
        "friend": friend,
        "elder": Character(*telling.draw("relative")),
        "sage": Character(*telling.draw("sage")),
    }
