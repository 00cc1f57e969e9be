"""Encoding that is killed goes on to the bytes of an undisturbed run."""

import hashlib
import json
import random
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks.tokenizer_limits.common import (
    MEGABYTE,
    Row,
    Settings,
    command_line,
    outcome,
    run,
    show,
    train,
    write_drawn,
)

from tinylm.commands.console import bytes_text
from tinylm.data.token_writer import journal_path, partial_path


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
