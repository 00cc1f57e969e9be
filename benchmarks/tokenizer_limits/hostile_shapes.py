"""No text takes time out of proportion to its length."""

import base64
import copy
import random
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.tokenizer_limits.common import (
    DOCUMENT_BYTES,
    MEGABYTE,
    SPECIAL,
    VOCAB_SIZE,
    Merges,
    Row,
    Settings,
    outcome,
    show,
)


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
