"""The stories of the demo: a pure function of the seed, in English that agrees with itself."""

import hashlib
import random
import re
from collections import Counter
from itertools import islice

import pytest

from tinylm.data import stories
from tinylm.data.stories.grammar import HEADER, PRONOUNS, Character, Telling, parse, polish

SEED = 5
NUM_STORIES = 3000


@pytest.fixture(scope="module")
def told() -> list[str]:
    """Stories to look at."""
    return list(islice(stories.stories(SEED), NUM_STORIES))


def test_a_story_is_a_function_of_seed_and_number(told: list[str]) -> None:
    """Any part of a series can be made anywhere, and other seeds tell other stories."""
    assert list(islice(stories.stories(SEED, start=100), 50)) == told[100:150]
    assert stories.story(SEED, 2) == told[2]
    assert not set(told) & set(islice(stories.stories(SEED + 1), NUM_STORIES))


def test_the_series_never_changes() -> None:
    """A golden hash: whoever changes the texts or the order of draws changes every demo's corpus, and should know."""
    text = "".join(islice(stories.stories(0), 1000)).encode()
    assert hashlib.sha256(text).hexdigest() == "70ed2e84c6bc54b2b7feb2642aa18bd0e1521d4abad33211af4fd4c9e0b58ba1"


def test_no_story_is_told_twice(told: list[str]) -> None:
    """The choices multiply: memorising stories is not the way to predict them."""
    assert len(set(told)) == NUM_STORIES


def test_most_sentences_are_rare(told: list[str]) -> None:
    """More than a third of the distinct sentences occur once, so that lines cannot be learned by heart."""
    sentences = Counter(sentence for story in told for sentence in re.split(r'(?<=[.!?]) |(?<=[.!?]") |\n', story))
    assert len(sentences) > 10_000
    assert sum(count == 1 for count in sentences.values()) > len(sentences) / 3


def test_at_least_a_thousand_distinct_words(told: list[str]) -> None:
    """Two megabytes of stories use more than 1,300 words, some of them often and many of them seldom."""
    words = Counter(word for story in told for word in re.findall(r"[a-z]+", story.lower()))
    assert len(words) > 1300
    assert sum(count for _, count in words.most_common(200)) > 0.7 * words.total()


def test_every_plot_is_told_in_every_world() -> None:
    """There are two worlds and fifteen plots, and a book for each pair."""
    books = stories.books()
    assert len(books) == 2 * 15
    assert len({(book["home"], book["story"]) for book in books}) == len(books)


def test_every_rule_and_slot_that_a_text_names_exists() -> None:
    """Each `<rule>` and `{slot}` in each book is defined there or belongs to the cast; each case exists."""
    cast = {"hero", "friend", "elder", "sage"}
    cases = {"", "name", "kind", *PRONOUNS["she"]}
    for book in stories.books():
        for text in {cell for table in book.values() for row in table.rows for cell in row}:
            assert set(re.findall(r"<(\w+)>", text)) <= book.keys()
            for slot, case in re.findall(r"\{(\w+):?(\w*)\}", text):
                assert slot in cast or (slot in book and not case), text
                assert case.lower() in cases, text


def test_every_row_of_a_table_has_all_its_cells() -> None:
    """A row with a cell too many or too few would shift the meaning of the others."""
    for table in {table for book in stories.books() for table in book.values()}:
        assert {len(row) for row in table.rows} == {len(table.columns)}, table.columns


def test_no_notation_is_left_in_a_story(told: list[str]) -> None:
    """Everything was drawn, filled and broken into lines; quotation marks come in pairs; lines end as sentences do."""
    for story in told:
        assert not re.search(r"[<>{}|=¶_]|  | [.,!?]|\.\.", story), story
        for line in story.splitlines():
            assert line.count('"') % 2 == 0, line
            assert re.search(r'^["A-Z].*[.!?]"?$', line), line


def test_articles_agree_with_the_next_word(told: list[str]) -> None:
    """`an` before a vowel that is heard, `a` before every other word."""
    text = "\n".join(told)
    assert set(re.findall(r"\ba ([aeiou]\w*)", text)) == set()
    assert set(re.findall(r"\ban ([^aeiouh]\w*)", text)) == set()
    assert polish("A owl, a unicorn, a hour, a one-eyed cat and a empty cup") == (
        "An owl, a unicorn, an hour, a one-eyed cat and an empty cup"
    )


def test_sentences_begin_with_a_capital(told: list[str]) -> None:
    """After a full stop comes a capital; only after a quotation may a small letter go on with `said`."""
    for story in told:
        assert not re.search(r"[.] [a-z]", story), story


def test_pronouns_agree_with_the_people(told: list[str]) -> None:
    """Where everyone in a story is female nobody is `he`, and the other way round."""
    people = {
        row[0]: row[1] for book in stories.books() for key in ("name", "relative", "sage") for row in book[key].rows
    }
    anyone = re.compile(rf"\b({'|'.join(people)})\b")
    for story in told:
        genders = {people[name] for name in anyone.findall(story)}
        if genders == {"she"}:
            assert not re.search(r"\b(he|him|his|himself)\b", story, re.IGNORECASE), story
        if genders == {"he"}:
            assert not re.search(r"\b(she|her|herself)\b", story, re.IGNORECASE), story


def test_a_character_has_cases() -> None:
    """`{hero:his}` takes the form of the gender, and a capital begins a sentence."""
    mia = Character("Mia", "she", "girl")
    assert f"{mia}, a {mia:kind}: {mia:he} {mia:him} {mia:his} {mia:himself}" == "Mia, a girl: she her her herself"
    assert f"{mia:His} doll" == "Her doll"
    owl = Character("the old owl", "he")
    assert f"{owl:Name} shook {owl:his} head" == "The old owl shook his head"


def test_a_slot_is_kept_and_a_rule_is_drawn_anew() -> None:
    """`{toy}` is the same toy throughout, with its row's other cells; `<colour>` may be another colour each time."""
    grammar = parse(
        "About.\n= toy / part\nkite / tail\ncart / wheel\n= colour\nred | blue | <dark> green\n= dark\ndark\n"
    )
    pairs = {"kite": "tail", "cart": "wheel"}
    chance = random.Random(0).random
    seen = set()
    for _ in range(100):
        telling = Telling(grammar, chance)
        toy, again, part = telling.tell("{toy} {toy} {part}").split()
        assert (again, part) == (toy, pairs[toy])
        seen |= {toy, telling.tell("<colour> <colour>")}
    assert {"kite", "cart", "red red", "red blue", "blue dark green"} <= seen


def test_earlier_alternatives_are_likelier(told: list[str]) -> None:
    """The first name of a world is met several times as often as the last, which is still met."""
    text = " ".join(told)
    assert text.count("Mia") > 3 * text.count("Ravi") > 0


def test_documents_have_the_size_asked_for_and_end_with_the_token() -> None:
    """Whole stories only: at least as many bytes as asked for, and not a story more."""
    made = list(stories.documents(SEED, 50_000))
    assert all(document.endswith(b"\n<|endoftext|>\n") for document in made)
    assert len(b"".join(made[:-1])) < 50_000 <= len(b"".join(made))
    assert list(stories.documents(SEED, 10_000)) == made[: len(list(stories.documents(SEED, 10_000)))]


def test_every_text_file_says_what_it_is_about() -> None:
    """The line before the first rule is for the reader."""
    for name in ("common.txt", "worlds/children.txt", "plots/lost.txt"):
        text = (stories.resources.files("tinylm.data.stories") / name).read_text("utf-8")
        assert HEADER.split(text)[0].strip().endswith(".")
