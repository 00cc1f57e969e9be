"""What the tokenizer promises, shown: a table for each promise, and exit code 1 if one of them is not kept.

    python -m benchmarks.tokenizer_limits --text FILE... [--scratch DIR] [--megabytes N] [--section NAME...]

Each section runs in a process of its own, which runs `python -m tinylm` as a user does. Large texts are documents of
the first text drawn with replacement, always the same ones. Memory is the most that a process held, less what the same
command held on 1.5 MB of text: that is beyond imports and machine code, but with the first caches. There are only
threads, no child processes.
"""

import argparse
import multiprocessing
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.tokenizer_limits.common import Settings, compile_kernels
from benchmarks.tokenizer_limits.equality import equal_to_others
from benchmarks.tokenizer_limits.hostile_shapes import hostile_shapes
from benchmarks.tokenizer_limits.kills import ten_kills
from benchmarks.tokenizer_limits.memory import memory
from benchmarks.tokenizer_limits.same_bytes import same_bytes

SECTIONS: dict[str, Callable[[Settings], bool]] = {
    "same-bytes": same_bytes,
    "equal": equal_to_others,
    "memory": memory,
    "hostile": hostile_shapes,
    "kills": ten_kills,
}


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
    compiler = multiprocessing.get_context("spawn").Process(target=compile_kernels)
    compiler.start()  # in a process of its own: what it holds at most would count as its children's
    compiler.join()
    texts = ["--text", *map(str, arguments.text), "--megabytes", str(arguments.megabytes)]
    scratch = ["--scratch", str(arguments.scratch)] if arguments.scratch else []
    command = [sys.executable, "-m", "benchmarks.tokenizer_limits", *texts, *scratch, "--inside", "--section"]
    codes = [subprocess.run([*command, section]).returncode for section in arguments.section]
    sys.exit(any(codes))


if __name__ == "__main__":
    main()
