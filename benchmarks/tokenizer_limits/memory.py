"""Memory and time on large texts."""

import os
import random
import resource
from collections.abc import Iterator

from benchmarks.tokenizer_limits.common import (
    KERNEL_BYTES,
    MEGABYTE,
    Row,
    Settings,
    Usage,
    encode,
    outcome,
    show,
    train,
    write_drawn,
)

from tinylm.commands.console import bytes_text


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


def generated_words(number: int) -> list[bytes]:
    """Distinct words of 3 to 24 random letters, a space before each."""
    choose = random.Random(0)
    words: dict[bytes, None] = {}
    while len(words) < number:
        letters = choose.choices("abcdefghijklmnopqrstuvwxyz", k=choose.randint(3, 24))
        words[b" " + "".join(letters).encode()] = None
    return list(words)
