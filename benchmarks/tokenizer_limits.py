"""What the tokenizer promises, shown: a table for each promise, and exit code 1 if one of them is not kept.

    python benchmarks/tokenizer_limits.py --text FILE... [--scratch DIR] [--megabytes N] [--section NAME...]

Each section runs in a process of its own, which runs `python -m tinylm` as a user does. Large texts are documents of
the first text drawn with replacement, always the same ones. Memory is the most that a process held, less what the same
command held on 1.5 MB of text: that is beyond imports and machine code, but with the first caches. There are only
threads, no child processes.
"""

import argparse
import base64
import copy
import hashlib
import json
import os
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from heapq import nlargest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinylm.commands.console import bytes_text, table
from tinylm.data.token_writer import journal_path, partial_path

SPECIAL = "<|endoftext|>"
MEGABYTE = 10**6
VOCAB_SIZE = 10_000
KERNEL_BYTES = 3 * MEGABYTE // 2
"""So much text goes through the kernels once they are compiled."""
DOCUMENT_BYTES = 10 * MEGABYTE
"""Documents are drawn from so much of the first text."""

Row = list[str]
Merges = Sequence[tuple[bytes, bytes]]


class Settings(NamedTuple):
    """What a section works on."""

    texts: list[Path]
    scratch: Path
    megabytes: int


class Usage(NamedTuple):
    """What a process took, and the JSON that it printed."""

    peak_bytes: int
    cpu_seconds: float
    wall_seconds: float
    result: dict[str, Any]


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", nargs="+", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, help="holds up to three times --megabytes; default: a temporary one")
    parser.add_argument("--megabytes", type=int, default=2000)
    parser.add_argument("--section", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
            settings = Settings(arguments.text, Path(scratch), arguments.megabytes)
            sys.exit(not SECTIONS[arguments.section[0]](settings))
    compile_kernels()
    texts = ["--text", *map(str, arguments.text), "--megabytes", str(arguments.megabytes)]
    scratch = ["--scratch", str(arguments.scratch)] if arguments.scratch else []
    command = [sys.executable, __file__, *texts, *scratch, "--inside", "--section"]
    codes = [subprocess.run([*command, section]).returncode for section in arguments.section]
    sys.exit(any(codes))


def compile_kernels() -> None:
    """Have all machine code on disk."""
    from tinylm.tokenizer.kernels import compilation

    for part in compilation.PARTS:
        compilation.compile_part(part)


def show(title: str, headers: Row, rows: Iterator[Row]) -> bool:
    """Print a table; returns whether the outcome, the last column, is nowhere FAILED."""
    found = list(rows)
    print(table([*headers, "outcome"], found, title=f"\n{title}", left=2), flush=True)
    return all(row[-1] != "FAILED" for row in found)


def outcome(kept: bool) -> str:
    """Whether a promise is kept."""
    return "ok" if kept else "FAILED"


def command_line(*arguments: object) -> list[str]:
    """A command of tinylm's that prints JSON and replaces what is there."""
    return [sys.executable, "-m", "tinylm", *map(str, arguments), "--json", "--quiet"]


def run(*arguments: object) -> Usage:
    """Run a command of tinylm's."""
    started = time.perf_counter()
    with subprocess.Popen(command_line(*arguments), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        printed = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(process.args)} ended with {process.returncode}")  # type: ignore[arg-type]
    wall = time.perf_counter() - started
    return Usage(used.ru_maxrss * 1024, used.ru_utime + used.ru_stime, wall, json.loads(printed))


def train(out: Path, *arguments: object, vocab_size: int = VOCAB_SIZE) -> Usage:
    """Learn a tokenizer."""
    size = ("--vocab-size", vocab_size)
    return run("train-bpe", *arguments, *size, "--special-token", SPECIAL, "--out", out, "--force")


def encode(text: Path, tokenizer: Path, out: Path, *arguments: object) -> Usage:
    """Make a token file."""
    return run("encode", text, "--tokenizer", tokenizer, "--out", out, "--force", *arguments)


# --- the same bytes whatever the division ----------------------------------------------------------------------------


def same_bytes(settings: Settings) -> bool:
    """Threads and shards change nothing."""
    rows = (row for text in settings.texts for row in divisions_of(text, settings.scratch))
    return show("The same bytes whatever the division", ["text", "asked", "sha256"], rows)


def divisions_of(text: Path, scratch: Path) -> Iterator[Row]:
    """A line for each way to divide the work on a text."""
    tokenizer = scratch / "tokenizer"
    ways: list[tuple[str, Callable[[], str]]] = [
        *((f"train-bpe, {n} threads", partial(vocabulary_by_threads, text, tokenizer, n)) for n in (1, 2, 7)),
        *((f"train-bpe, {n} shards", partial(vocabulary_by_shards, text, tokenizer, n)) for n in (1, 3, 16)),
        *((f"encode, {n} threads", partial(ids_by_threads, text, tokenizer, n)) for n in (1, 2, 7)),
        *((f"encode, {n} shards", partial(ids_by_shards, text, tokenizer, n)) for n in (1, 3, 16)),
    ]
    first: dict[str, str] = {}
    for asked, way in ways:
        digest = way()
        expected = first.setdefault(asked.split(",")[0], digest)
        yield [text.name, asked, digest[:32], outcome(digest == expected)]


def vocabulary_by_threads(text: Path, out: Path, threads: int) -> str:
    """Train in one process."""
    train(out, text, "--threads", threads)
    return hash_of_vocabulary(out)


def vocabulary_by_shards(text: Path, out: Path, shards: int) -> str:
    """Count shard by shard, and learn from the counts."""
    counts: list[Path] = []
    for i in range(1, shards + 1):
        counts.append(out.with_name(f"counts-{i}.npz"))
        shard = ("--shard", f"{i}/{shards}", "--counts-out", counts[-1])
        run("train-bpe", text, "--special-token", SPECIAL, *shard, "--force")
    train(out, *(argument for path in counts for argument in ("--from-counts", path)))
    return hash_of_vocabulary(out)


def hash_of_vocabulary(directory: Path) -> str:
    """Of `merges.txt` and `vocab.json`."""
    return hashlib.sha256(
        b"".join((directory / name).read_bytes() for name in ("merges.txt", "vocab.json"))
    ).hexdigest()


def ids_by_threads(text: Path, tokenizer: Path, threads: int) -> str:
    """Encode in one process."""
    out = tokenizer.with_name("tokens.npy")
    encode(text, tokenizer, out, "--threads", threads)
    return hash_of_arrays([out])


def ids_by_shards(text: Path, tokenizer: Path, shards: int) -> str:
    """Encode shard by shard."""
    outs = [tokenizer.with_name(f"tokens-{i}.npy") for i in range(1, shards + 1)]
    for i, out in enumerate(outs, start=1):
        encode(text, tokenizer, out, "--shard", f"{i}/{shards}")
    return hash_of_arrays(outs)


def hash_of_arrays(paths: Sequence[Path]) -> str:
    """Of arrays, joined."""
    hashed = hashlib.sha256()
    for path in paths:
        hashed.update(np.load(path, mmap_mode="r").data)
    return hashed.hexdigest()


# --- equal to others -------------------------------------------------------------------------------------------------


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


# --- memory and time -------------------------------------------------------------------------------------------------


def memory(settings: Settings) -> bool:
    """Memory does not grow with the text."""
    return show(
        f"Memory and time (load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)",
        ["text", "asked", "measured", "wall s", "CPU s", "wall MB/s"],
        memory_rows(settings),
    )


def memory_rows(settings: Settings) -> Iterator[Row]:
    """A line for each command."""
    scratch, large = settings.scratch, settings.scratch / "large.txt"
    small, tokenizer = scratch / "small.txt", scratch / "tokenizer"
    write_drawn(small, settings.texts[0], KERNEL_BYTES)
    small_train = train(tokenizer, small)
    train(tokenizer, settings.texts[0])
    small_encode = encode(small, tokenizer, scratch / "small.npy")

    write_drawn(large, settings.texts[0], settings.megabytes * MEGABYTE)
    usage = encode(large, tokenizer, scratch / "large.npy")
    yield [bytes_text(large.stat().st_size), "encode under 400 MB", *held(usage, small_encode, 400 * MEGABYTE)]
    (scratch / "large.npy").unlink()

    words = generated_words(500_000)
    write_drawn(large, settings.texts[0], settings.megabytes * MEGABYTE, words)
    usage = train(scratch / "other", large)
    distinct = usage.result["num_words"]
    what = f"{bytes_text(large.stat().st_size)}, {distinct:,} distinct words, 500,000 of them generated"
    yield [what, "train-bpe under 1 GB", *held(usage, small_train, 1000 * MEGABYTE, enough=distinct >= 500_000)]

    write_drawn(large, settings.texts[0], settings.megabytes * MEGABYTE * 11 // 10)
    load = os.getloadavg()[0]
    usage = train(scratch / "other", large)
    yield [
        bytes_text(large.stat().st_size),
        "train-bpe in 10 s, warm",
        f"load average {load:.1f}",
        *in_time(usage, load),
    ]


def held(usage: Usage, small: Usage, limit: int, *, enough: bool = True) -> Row:
    """Memory beyond that of a small run; it cannot be told where this process, its parent, has held more itself."""
    beyond = usage.peak_bytes - small.peak_bytes
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    measured = f"{bytes_text(beyond)} + {bytes_text(small.peak_bytes)}"
    return [measured, *speed(usage), outcome(beyond < limit and own < small.peak_bytes and enough)]


def speed(usage: Usage) -> Row:
    """Seconds, and text in a second."""
    size = usage.result["input_bytes"]
    return [
        f"{usage.wall_seconds:.1f}",
        f"{usage.cpu_seconds:.1f}",
        f"{size / usage.wall_seconds / MEGABYTE:.0f}",
    ]


def in_time(usage: Usage, load: float) -> Row:
    """Whether it took less than ten seconds, which is not held against it on a busy machine."""
    if usage.wall_seconds < 10:
        return [*speed(usage), "ok"]
    return [*speed(usage), "busy" if load > 0.5 * (os.cpu_count() or 1) else "FAILED"]


def write_drawn(path: Path, text: Path, size: int, words: Sequence[bytes] = ()) -> None:
    """Write documents drawn from a text, with replacement, until there are `size` bytes; words evenly among them."""
    with text.open("rb") as stream:
        documents = stream.read(DOCUMENT_BYTES).decode(errors="ignore").encode().split(SPECIAL.encode())[:-1]
    choose = random.Random(0)
    documents = [document + SPECIAL.encode() for document in documents]
    written = num_words = 0
    with path.open("wb") as out:
        while written < size:
            block = b"".join(choose.choices(documents, k=200))
            wanted = min(len(words), len(words) * (written + len(block)) // size)
            written += out.write(block + b"".join(words[num_words:wanted]))
            num_words = wanted
        out.flush()
        os.fsync(out.fileno())


def generated_words(number: int) -> list[bytes]:
    """Distinct words of 3 to 24 random letters, a space before each."""
    choose = random.Random(0)
    words: dict[bytes, None] = {}
    while len(words) < number:
        letters = choose.choices("abcdefghijklmnopqrstuvwxyz", k=choose.randint(3, 24))
        words[b" " + "".join(letters).encode()] = None
    return list(words)


# --- hostile shapes --------------------------------------------------------------------------------------------------


class Shape(NamedTuple):
    """A kind of text."""

    name: str
    make: Callable[[int], bytes]
    """So many bytes of it."""
    size: int = MEGABYTE


def shapes(text: Path) -> list[Shape]:
    """What has made a tokenizer quadratic somewhere."""
    runs = {"a": "a", "^": "^", "spaces": " ", "tabs": "\t", "newlines": "\n", "NBSP": "\u00a0"}
    family = "\N{WOMAN}\u200d\N{MAN}\u200d\N{GIRL}\u200d\N{BOY}"
    return [
        *(Shape(f"{name}, one run", partial(repeated, unit.encode())) for name, unit in runs.items()),
        *(Shape(f"{name}, then a letter", partial(repeated, unit.encode(), end=b"b")) for name, unit in runs.items()),
        Shape("random letters", random_letters),
        Shape("ZWJ emoji", partial(repeated, family.encode())),
        Shape("all 256 bytes, replaced", partial(repeated, bytes(range(256)))),
        Shape("random bytes, replaced", lambda size: random.Random(0).randbytes(size)),
        Shape("base64", lambda size: base64.b64encode(random.Random(0).randbytes(size))[:size]),
        Shape("one line of text", partial(one_line, text), 10 * MEGABYTE),
    ]


def repeated(unit: bytes, size: int, end: bytes = b"") -> bytes:
    """The same over and over."""
    return unit * ((size - len(end)) // len(unit)) + end


def random_letters(size: int) -> bytes:
    """One word."""
    return "".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyz", k=size)).encode()


def one_line(text: Path, size: int) -> bytes:
    """A text without line ends and special tokens."""
    with text.open("rb") as stream:
        line = stream.read(DOCUMENT_BYTES).replace(SPECIAL.encode(), b" ").replace(b"\n", b" ")
    return (line * (size // len(line) + 1))[:size].decode(errors="ignore").encode()


def hostile_shapes(settings: Settings) -> bool:
    """No shape of text is quadratic, neither in the kernels nor on the plain path."""
    return show(
        "Hostile shapes: CPU seconds for 1 MB (a line: 10 MB), and times those for a tenth (bound: 15); medians of 5.\n"
        "Each is encoded with the vocabulary, of up to 10,000 tokens, that is learned from it.",
        ["shape", "path", "train s", "times", "encode s", "times"],
        (row for shape in shapes(settings.texts[0]) for row in both_paths(shape, settings.scratch)),
    )


def both_paths(shape: Shape, scratch: Path) -> Iterator[Row]:
    """A line for the kernels, and one for the plain path."""
    from tinylm.tokenizer import Tokenizer
    from tinylm.tokenizer.train import initial_vocab

    large, small = scratch / "large.txt", scratch / "small.txt"
    large.write_bytes(shape.make(shape.size))
    small.write_bytes(shape.make(shape.size // 10))
    merges = train_in_kernels(large)
    tokenizer = Tokenizer(initial_vocab(merges), merges, [SPECIAL])
    same = merges == train_plainly(large)
    paths = {
        "kernels": (train_in_kernels, partial(kernel_pass, tokenizer)),
        "plain": (train_plainly, partial(plain_pass, tokenizer)),
    }
    for name, (training, encoding) in paths.items():
        seconds, times = growth(partial(partial, training), large, small)
        encode_seconds, encode_times = growth(encoding, large, small)
        yield [
            *(shape.name, name, f"{seconds:.3f}", f"{times:.1f}", f"{encode_seconds:.3f}", f"{encode_times:.1f}"),
            outcome(max(times, encode_times) <= 15 and same),
        ]


def growth(prepare: Callable[[Path], Callable[[], Any]], large: Path, small: Path) -> tuple[float, float]:
    """CPU seconds for a large text, and how many times those for a small one."""
    seconds = median_seconds(partial(prepare, large))
    return seconds, seconds / median_seconds(partial(prepare, small))


def median_seconds(prepare: Callable[[], Callable[[], Any]]) -> float:
    """Of five passes, each prepared anew."""
    taken = []
    for _ in range(5):
        work = prepare()
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return statistics.median(taken)


def train_in_kernels(path: Path) -> Merges:
    """Count and merge."""
    from tinylm.tokenizer.kernels.files import count_files
    from tinylm.tokenizer.sources import whole
    from tinylm.tokenizer.train import learn_in_kernels

    words = count_files(whole([path]), [SPECIAL], invalid="replace", num_threads=1, on_bytes=lambda _: None)
    return list(learn_in_kernels(words, VOCAB_SIZE - 257, lambda _: None))


def train_plainly(path: Path) -> Merges:
    """Count and merge without kernels."""
    from tinylm.tokenizer.count import count_in_python
    from tinylm.tokenizer.merge import merge_words
    from tinylm.tokenizer.sources import whole
    from tinylm.tokenizer.word_counts import CountSettings

    settings = CountSettings("gpt2", (SPECIAL,))
    return list(
        merge_words(count_in_python(whole([path]), settings, invalid="replace", num_workers=1), VOCAB_SIZE - 257)
    )


def kernel_pass(tokenizer: Any, path: Path) -> Callable[[], Any]:
    """Encoding with a fresh cache."""
    from tinylm.tokenizer.kernels.files import encode_files
    from tinylm.tokenizer.kernels.text_encoder import TextEncoder
    from tinylm.tokenizer.sources import whole

    encoder = TextEncoder(tokenizer.kernel_vocabulary)
    return lambda: list(encode_files(whole([path]), [encoder], invalid="replace"))


def plain_pass(tokenizer: Any, path: Path) -> Callable[[], Any]:
    """Encoding with a fresh cache, without kernels."""
    from tinylm.tokenizer.encode_files import encode_in_python
    from tinylm.tokenizer.sources import whole

    fresh = copy.copy(tokenizer)
    return lambda: list(encode_in_python(whole([path]), fresh, invalid="replace", num_workers=1))


# --- kills -----------------------------------------------------------------------------------------------------------


def ten_kills(settings: Settings) -> bool:
    """A run that is killed and run again makes the same bytes."""
    return show("Ten kills", ["what", "asked", "measured"], kill_rows(settings))


def kill_rows(settings: Settings) -> Iterator[Row]:
    """One undisturbed run; ten runs killed anywhere and run again; one run killed again and again as it writes."""
    scratch, text, out = settings.scratch, settings.scratch / "large.txt", settings.scratch / "large.npy"
    write_drawn(text, settings.texts[0], settings.megabytes * MEGABYTE // 4)
    train(scratch / "tokenizer", settings.texts[0])
    command = ("encode", text, "--tokenizer", scratch / "tokenizer", "--out", out)
    seconds = run(*command).wall_seconds
    size, expected = out.stat().st_size, digest_of(out)
    yield [f"{bytes_text(text.stat().st_size)}, undisturbed", f"{seconds:.1f} s", expected[:32], "ok"]
    choose = random.Random(0)
    kills = 0
    for _ in range(100):
        clear(out)
        after = choose.uniform(0, seconds)
        if not kill(command, partial(is_past, time.perf_counter() + after)):
            continue  # it was faster than the undisturbed run
        if out.exists() and not journal_path(out).exists():
            continue  # it was done, and about to say so
        left = recorded(out)
        run(*command)
        kills += 1
        asked = f"killed after {after:.2f} s, run again"
        yield [f"kill {kills}", f"{asked}, {left} on record", digest_of(out)[:32], outcome(digest_of(out) == expected)]
        if kills == 10:
            break
    clear(out)
    going_on = []
    for share in sorted(choose.uniform(0, 1) for _ in range(10)):
        kill(command, partial(has_written, out, share * size))
        going_on.append(recorded(out))
    run(*command)
    yield [
        "ten kills of one",
        f"on record: {', '.join(going_on)}",
        digest_of(out)[:32],
        outcome(digest_of(out) == expected),
    ]


def kill(arguments: Sequence[object], now: Callable[[], bool]) -> bool:
    """Run a command and kill it when it is time; returns whether it was still running."""
    with subprocess.Popen(command_line(*arguments), stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not now():
            time.sleep(0.002)
        process.kill()
    return process.returncode < 0


def digest_of(path: Path) -> str:
    """Of a file, or that it is not there."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "no such file"


def is_past(moment: float) -> bool:
    """Whether the clock says so."""
    return time.perf_counter() > moment


def has_written(out: Path, size: float) -> bool:
    """Whether more bytes of a token file are there, under the name that it has until it is complete."""
    try:
        return partial_path(out).stat().st_size > size
    except FileNotFoundError:
        return False


def recorded(out: Path) -> str:
    """How much text the journal of a killed run says is done."""
    path = journal_path(out)
    return bytes_text(json.loads(path.read_bytes())["input_bytes"]) if path.exists() else "nothing"


def clear(out: Path) -> None:
    """Remove a token file and all that a killed run left."""
    for path in out.parent.glob(f"*{out.stem}.*"):
        if re.search(r"\.(npy|json|partial|journal|lock)$", path.name):
            path.unlink()


SECTIONS: dict[str, Callable[[Settings], bool]] = {
    "same-bytes": same_bytes,
    "equal": equal_to_others,
    "memory": memory,
    "hostile": hostile_shapes,
    "kills": ten_kills,
}


if __name__ == "__main__":
    main()
