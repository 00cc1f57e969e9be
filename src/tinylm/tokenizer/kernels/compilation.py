"""When numba compiles: once for each version of the kernels and each kind of processor, and never twice at a time."""

import contextlib
import functools
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, get_args

import filelock
import llvmlite.binding as llvm
import numba

from tinylm.tokenizer.kernels.chunks import Chunk
from tinylm.tokenizer.kernels.counter import PretokenCounter
from tinylm.tokenizer.kernels.cuts import last_cut, new_specials
from tinylm.tokenizer.kernels.kernel import IS_KEPT
from tinylm.tokenizer.kernels.merges import learn_merges
from tinylm.tokenizer.kernels.scanner import find_starts
from tinylm.tokenizer.kernels.text_encoder import TextEncoder, new_vocabulary
from tinylm.tokenizer.kernels.unicode_classes import class_table

Part = Literal["train", "encode-uint16", "encode-uint32"]
PARTS: tuple[Part, ...] = get_args(Part)
"""For the tests, which want them all."""


def is_compiled(part: Part) -> bool:
    """Whether the machine code of a part is on disk."""
    return IS_KEPT and stamp(part).exists()


def compile_part(part: Part) -> None:
    """Have the machine code of a part on disk. Other processes that want it meanwhile wait for this one.

    numba notices when the file of a kernel has changed, but not when one that it calls has, and two processes that
    store different kernels at once can confuse its index: hence the stamp, named after all sources, and the lock.
    Where nothing can be kept on disk, kernels are compiled when they are called.
    """
    if not IS_KEPT or is_compiled(part):
        return
    with locked(cache_directory()):
        if not any(cache_directory().glob(f"{hash_of_sources()}-*.stamp")):
            for old in cache_directory().iterdir():
                if old.suffix in {".nbi", ".nbc", ".stamp"}:
                    old.unlink()
        if not is_compiled(part):
            use(part)
            stamp(part).touch()


def use(part: Part) -> None:
    """Call every kernel of a part with arguments of the types that it is called with."""
    specials = new_specials({"<|e|>": 258 if part == "encode-uint16" else 1 << 16})
    chunk = Chunk.of("the cat's 天<|e|>".encode() + b"the thing " * 10 + b"a word of more than fifteen bytes" * 8)
    last_cut(chunk.text, chunk.size, specials, class_table())
    if part == "train":
        counter = PretokenCounter()
        counter.add_chunk(chunk, specials)
        counter.add_words(counter.words())
        counter.reserve(1 << 14, 1 << 14, 0)
        list(learn_merges(counter.words(), 3))
    else:
        special_id = int(specials.ids[0])
        merges = {(ord("t"), ord("h")): (0, 256), (256, ord("e")): (1, 257)}
        encoder = TextEncoder(new_vocabulary(range(256), merges, {"<|e|>": special_id}))
        encoder.encode(chunk)
        encoder.enlarge_short()
        encoder.enlarge_long()


def stamp(part: Part) -> Path:
    """The file whose presence says that a part is compiled."""
    return cache_directory() / f"{hash_of_sources()}-{hash_of_machine()}-{part}.stamp"


def cache_directory() -> Path:
    """Where numba keeps the kernels: beside them, or in the user's cache if that cannot be written to."""
    return Path(str(find_starts.stats.cache_path))


@functools.cache
def hash_of_sources() -> str:
    """Machine code of other sources is of no use any more."""
    return short_hash(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))


@functools.cache
def hash_of_machine() -> str:
    """Machine code for other processors may lie beside ours: a directory can be shared."""
    machine = (numba.__version__, llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
    return short_hash(map(str.encode, machine))


def short_hash(parts: Iterable[bytes]) -> str:
    """Sixteen digits."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the lock of the cache, waiting for it as long as it takes."""
    directory.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(directory / "compiling.lock"):
        yield
