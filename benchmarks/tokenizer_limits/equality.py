"""Ids equal to tiktoken's; merges equal to those of the plain loop and of Hugging Face's library."""

import json
import random
import unicodedata
from collections.abc import Iterator, Mapping
from heapq import nlargest
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.tokenizer_limits.common import SPECIAL, Merges, Row, Settings, encode, outcome, show, train

from tinylm.commands.console import bytes_text


def equal_to_others(settings: Settings) -> bool:
    """Ids are tiktoken's, merges are those of the plain loop and of Hugging Face's trainer."""

    def rows() -> Iterator[Row]:
        for text in settings.texts:
            train(settings.scratch / "tokenizer", text)
            yield ids_of_text(text, settings.scratch)
        yield from ids_of_random_strings(settings.scratch)
        for i in range(10):
            yield merges_of_slice(settings.texts[i % len(settings.texts)], i, settings.scratch)
        for text in settings.texts:
            yield merges_of_text(text, settings.scratch)

    return show("Equal to tiktoken, to the plain loop, to tokenizers", ["text", "asked", "measured"], rows())


def ids_of_text(text: Path, scratch: Path) -> Row:
    """A text, beside tiktoken."""
    encode(text, scratch / "tokenizer", scratch / "tokens.npy")
    ids = np.load(scratch / "tokens.npy")
    expected = in_tiktoken(scratch).encode_to_numpy(text.read_text(encoding="utf-8"), allowed_special="all")
    return [text.name, "ids of tiktoken", f"{len(ids):,} ids", outcome(np.array_equal(ids, expected))]


def ids_of_random_strings(scratch: Path) -> Iterator[Row]:
    """Five thousand strings of any characters, beside tiktoken: as documents of a file, and one by one."""
    from tinylm.tokenizer import Tokenizer

    strings = random_strings(5000)
    tokenizer, path = Tokenizer.load(scratch / "tokenizer"), scratch / "strings.txt"
    path.write_bytes("".join(string + SPECIAL for string in strings).encode())
    encode(path, scratch / "tokenizer", scratch / "tokens.npy")
    ids = np.load(scratch / "tokens.npy")
    documents = np.split(ids, np.flatnonzero(ids == tokenizer.special_token_ids[SPECIAL]) + 1)[:-1]
    theirs = in_tiktoken(scratch).encode_ordinary_batch(strings)
    ways = {
        f"a file of {bytes_text(path.stat().st_size)}": [document[:-1].tolist() for document in documents],
        "one by one, plain": [tokenizer.encode_ordinary(string) for string in strings],
    }
    for way, ours in ways.items():
        differ = sum(mine != other for mine, other in zip(ours, theirs, strict=True))
        measured = f"{len(strings):,} strings, {differ} differ"
        yield [f"random Unicode, {way}", "ids of tiktoken", measured, outcome(not differ)]


def random_strings(number: int) -> list[str]:
    """Strings of assigned characters, half of them white space, apostrophes and the like."""
    choose = random.Random(0)
    assigned = [chr(i) for i in range(0x110000) if unicodedata.category(chr(i)) not in ("Cs", "Cn")]
    common = [" ", " ", "\n", "\t", "'", "'s", "'ll", "the", "S", "\u00a0", "\u3000", "\u200d", "1", "é", "<|"]

    def string() -> str:
        letters = [*choose.choices(common, k=10), *choose.choices(assigned, k=10)]
        return "".join(choose.choices(letters, k=choose.randint(0, 300)))

    return [string() for _ in range(number)]


def in_tiktoken(scratch: Path) -> Any:
    """Our tokenizer as tiktoken's."""
    import tiktoken

    from tinylm.tokenizer import Tokenizer
    from tinylm.tokenizer.pretokenize import GPT2

    tokenizer = Tokenizer.load(scratch / "tokenizer")
    special_ids = tokenizer.special_token_ids
    ranks = {token: id for id, token in tokenizer.vocab.items() if id not in special_ids.values()}
    return tiktoken.Encoding("ours", pat_str=GPT2, mergeable_ranks=ranks, special_tokens=special_ids)


def merges_of_slice(text: Path, number: int, scratch: Path) -> Row:
    """200 kB from somewhere in a text, eight times over so that the kernels take it, beside the plain loop."""
    from tinylm.tokenizer.merge import merge_words

    data, path = text.read_bytes(), scratch / "slice.txt"
    begin = random.Random(number).randrange(len(data) - 200_000)
    path.write_bytes((data[begin : begin + 200_000].decode(errors="ignore") * 8).encode())
    ours = learned(path, scratch)
    expected = list(merge_words(plain_counts(path), len(ours)))
    return [
        *(f"{text.name}, 200 kB from {begin:,}", "merges of the plain loop"),
        *(f"{len(ours):,} merges", outcome(ours == expected)),
    ]


def merges_of_text(text: Path, scratch: Path) -> Row:
    """A text, beside tokenizers, which breaks ties in another way: the same up to the first one, equally good later."""
    ours, theirs, counts = learned(text, scratch), merges_of_tokenizers(text), plain_counts(text)
    untied = 0
    for _, (best, second) in replay(counts, ours):
        if best == second:
            break
        untied += 1
    later = sum(chosen == best for chosen, (best, _) in replay(counts, theirs))
    kept = ours[:untied] == theirs[:untied] and untied > 0 and later == len(ours)
    measured = f"equal before the first tie, at {untied:,}; {later:,} of theirs most frequent"
    return [text.name, "merges of tokenizers", measured, outcome(kept)]


def learned(text: Path, scratch: Path) -> Merges:
    """The merges of a vocabulary of 2,000."""
    from tinylm.tokenizer import Tokenizer

    train(scratch / "small", text, vocab_size=2000)
    return Tokenizer.load(scratch / "small").merges


def plain_counts(text: Path) -> dict[bytes, int]:
    """Pre-tokens, counted without kernels."""
    from tinylm.tokenizer.count import count_in_python
    from tinylm.tokenizer.sources import whole
    from tinylm.tokenizer.word_counts import CountSettings

    return count_in_python(whole([text]), CountSettings("gpt2", (SPECIAL,)), num_workers=1)


def replay(counts: Mapping[bytes, int], merges: Merges) -> Iterator[tuple[int, list[int]]]:
    """Before each merge: how often its pair occurs, and how often the two most frequent pairs do."""
    from tinylm.tokenizer.merge import Words

    words = Words(counts)
    ids = {bytes([byte]): byte for byte in range(256)}
    for left, right in merges:
        pair = ids[left], ids[right]
        yield words.pair_counts[pair], nlargest(2, words.pair_counts.values())
        ids[left + right] = len(ids)
        words.merge(pair, ids[left + right])


def merges_of_tokenizers(text: Path) -> Merges:
    """What Hugging Face's trainer learns."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    from tinylm.tokenizer.byte_unicode import to_bytes

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=2000, special_tokens=[SPECIAL], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(text.read_text(encoding="utf-8").split(SPECIAL), trainer)
    return [(to_bytes(left), to_bytes(right)) for left, right in json.loads(tokenizer.to_str())["model"]["merges"]]
