"""tinylm's tokenizer beside its peers: the same vocabulary, the same text, each measurement in processes of its own.

    pip install tinylm[bench]
    python benchmarks/tokenizer.py --text FILE... [--vocab-size N] [--passes N] [--processes N]

tinylm reads a file and writes a token file, in constant memory; the others are given text in memory and leave ids
there, with the fastest call that each has for it. Time starts when everything is imported, built and, for the others,
read. CPU seconds are those of all threads. Memory is the most that the process held, less what it held before. "ids"
compares with tinylm's, one by one. The libraries take turns, some processes each, and the tables have the medians: what
a first pass takes depends on the memory that the system happens to give it.
"""

import argparse
import hashlib
import io
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinylm.commands.console import bytes_text, table
from tinylm.tokenizer import Tokenizer
from tinylm.tokenizer.pretokenize import GPT2

SPECIAL = "<|endoftext|>"
MEGABYTE = 1e6

Ids = npt.NDArray[Any]
Pass = Callable[[], Ids]


class Job(NamedTuple):
    """What a process is asked to measure."""

    library: str
    task: str
    text: str
    tokenizer: str
    vocab_size: int
    threads: int
    passes: int


class Timing(NamedTuple):
    """One pass."""

    cpu_seconds: float
    wall_seconds: float


# --- encoding: each function builds what it needs and returns one pass over the text ---------------------------------


def encode_tinylm(job: Job) -> Pass:
    """From the file to a token file, each time a new one, as the command does not replace one unasked."""
    from tinylm.data.token_writer import write_tokens
    from tinylm.tokenizer.kernels.files import encode_files
    from tinylm.tokenizer.sources import whole

    tokenizer, encoders = tinylm_encoders(job)
    fingerprint = tokenizer.fingerprint
    directory = tempfile.TemporaryDirectory()  # removed when the process ends
    passes = itertools.count()

    def run() -> Ids:
        out = Path(directory.name, f"{next(passes)}.npy")
        with write_tokens(out, vocab_size=tokenizer.vocab_size, tokenizer=fingerprint) as writer:
            for block in encode_files(whole([job.text]), encoders, invalid="error"):
                writer.append(block.ids, block.document_starts)
        tokens: Ids = np.load(out, mmap_mode="r")
        return tokens

    return run


def encode_tinylm_in_memory(job: Job) -> Pass:
    """From bytes in memory to ids in memory, as the others do it."""
    from tinylm.tokenizer.kernels.chunks import read_chunks
    from tinylm.tokenizer.kernels.files import CHUNK_BYTES
    from tinylm.tokenizer.kernels.parallel import map_in_order

    _, encoders = tinylm_encoders(job)
    data = Path(job.text).read_bytes()
    specials = encoders[0].vocabulary.specials

    def run() -> Ids:
        chunks = read_chunks(io.BytesIO(data), specials, CHUNK_BYTES)
        encoded = map_in_order(lambda encoder, chunk: encoder.encode(chunk).ids, chunks, encoders)
        return np.concatenate([ids for _, ids in encoded])

    return run


def tinylm_encoders(job: Job) -> tuple[Tokenizer, list[Any]]:
    """The tokenizer, and an encoder for each thread, their machine code in memory."""
    from tinylm.tokenizer.kernels import compilation
    from tinylm.tokenizer.kernels.text_encoder import TextEncoder

    tokenizer = Tokenizer.load(job.tokenizer)
    compilation.compile_part("encode-uint16")
    compilation.use("encode-uint16")
    return tokenizer, [TextEncoder(tokenizer.kernel_vocabulary) for _ in range(job.threads)]


def encode_tiktoken(job: Job) -> Pass:
    """`encode` on one thread, `encode_batch` of the documents on several."""
    import tiktoken

    tokenizer = Tokenizer.load(job.tokenizer)
    special_ids = tokenizer.special_token_ids
    ranks = {token: id for id, token in tokenizer.vocab.items() if id not in special_ids.values()}
    encoding = tiktoken.Encoding("ours", pat_str=GPT2, mergeable_ranks=ranks, special_tokens=special_ids)
    text = Path(job.text).read_text(encoding="utf-8")
    if job.threads == 1:
        return lambda: as_ids(encoding.encode_to_numpy(text, allowed_special="all"))
    documents = documents_of(text)
    return lambda: joined(encoding.encode_batch(documents, num_threads=job.threads, allowed_special="all"))


def encode_tokenizers(job: Job) -> Pass:
    """`encode_batch_fast` of the documents: one string of a hundred megabytes takes tens of gigabytes."""
    from tokenizers import Tokenizer as HuggingFaceTokenizer

    tokenizer = HuggingFaceTokenizer.from_file(str(Path(job.tokenizer, "tokenizer.json")))
    documents = documents_of(Path(job.text).read_text(encoding="utf-8"))
    return lambda: joined([encoding.ids for encoding in tokenizer.encode_batch_fast(documents)])


def encode_gigatoken(job: Job) -> Pass:
    """`encode` on one thread, `encode_batch` of a source with separators on several."""
    from gigatoken.gigatoken_rs import BPETokenizer, BytesSource

    tokenizer = BPETokenizer.from_hf(str(Path(job.tokenizer, "tokenizer.json")))
    data = Path(job.text).read_bytes()
    if job.threads == 1:
        return lambda: tokenizer.encode(data)
    return lambda: flat(tokenizer.encode_batch(BytesSource(data)))


def encode_fastokens(job: Job) -> Pass:
    """`encode_batch_flat`, of one string on one thread, of the documents on several."""
    import fastokens

    tokenizer = fastokens.Tokenizer.from_file(str(Path(job.tokenizer, "tokenizer.json")))
    text = Path(job.text).read_text(encoding="utf-8")
    documents = [text] if job.threads == 1 else documents_of(text)
    return lambda: np.frombuffer(tokenizer.encode_batch_flat(documents)[0], np.uint32)


def documents_of(text: str) -> list[str]:
    """The documents, each with the special token that ends it."""
    *ended, last = text.split(SPECIAL)
    return [document + SPECIAL for document in ended] + ([last] if last else [])


def as_ids(ids: Any) -> Ids:
    """An array."""
    array: Ids = np.asarray(ids)
    return array


def joined(parts: list[list[int]]) -> Ids:
    """Ids of all documents."""
    return np.concatenate([np.array(part, np.uint32) for part in parts])


def flat(array: Any) -> Ids:
    """The ids of an awkward array of documents."""
    import awkward

    return as_ids(awkward.flatten(array, axis=None))


# --- training: each function learns a vocabulary ---------------------------------------------------------------------


def train_tinylm(job: Job) -> Pass:
    """From the file."""
    from tinylm.tokenizer import train_bpe
    from tinylm.tokenizer.kernels import compilation

    compilation.compile_part("train")
    compilation.use("train")
    return lambda: num_tokens(train_bpe(job.text, job.vocab_size, [SPECIAL], num_threads=job.threads).vocab)


def train_gigatoken(job: Job) -> Pass:
    """From bytes in memory."""
    from gigatoken import train_bpe

    data = Path(job.text).read_bytes()
    return lambda: num_tokens(train_bpe(data, job.vocab_size, [SPECIAL])[0])


def train_rustbpe(job: Job) -> Pass:
    """From documents in memory."""
    import rustbpe

    documents = Path(job.text).read_text(encoding="utf-8").split(SPECIAL)
    tokenizer = rustbpe.Tokenizer()

    def run() -> Ids:
        tokenizer.train_from_iterator(iter(documents), job.vocab_size - 1, pattern=GPT2)
        return num_tokens(tokenizer.get_mergeable_ranks())

    return run


def train_tokenizers(job: Job) -> Pass:
    """From documents in memory."""
    from tokenizers import Tokenizer as HuggingFaceTokenizer
    from tokenizers import models, pre_tokenizers, trainers

    documents = Path(job.text).read_text(encoding="utf-8").split(SPECIAL)
    tokenizer = HuggingFaceTokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=job.vocab_size, special_tokens=[SPECIAL], initial_alphabet=alphabet, show_progress=False
    )

    def run() -> Ids:
        tokenizer.train_from_iterator(documents, trainer)
        return np.array([tokenizer.get_vocab_size()])

    return run


def num_tokens(vocab: Any) -> Ids:
    """What can be compared of vocabularies with different ties."""
    return np.array([len(vocab)])


TASKS: dict[str, dict[str, Callable[[Job], Pass]]] = {
    "encode": {
        "tinylm": encode_tinylm,
        "tinylm, in memory": encode_tinylm_in_memory,
        "gigatoken": encode_gigatoken,
        "fastokens": encode_fastokens,
        "tiktoken": encode_tiktoken,
        "tokenizers": encode_tokenizers,
    },
    "train": {
        "tinylm": train_tinylm,
        "gigatoken": train_gigatoken,
        "rustbpe": train_rustbpe,
        "tokenizers": train_tokenizers,
    },
}


# --- the process that measures ---------------------------------------------------------------------------------------


def measure(job: Job) -> dict[str, Any]:
    """Run the passes of one job."""
    run = TASKS[job.task][job.library](job)
    before = peak_bytes()
    timings = []
    for _ in range(job.passes):
        cpu, wall = time.process_time(), time.perf_counter()
        ids = run()
        timings.append(Timing(time.process_time() - cpu, time.perf_counter() - wall))
    memory = peak_bytes() - before
    return {"timings": timings, "memory_bytes": memory, "ids": digest(ids), "num_ids": len(ids)}


def peak_bytes() -> int:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def digest(ids: Ids) -> str:
    """A hash of ids, whatever their type."""
    hashed = hashlib.sha256()
    for start in range(0, len(ids), 1 << 20):
        hashed.update(np.ascontiguousarray(ids[start : start + (1 << 20)], "<u4").data)
    return hashed.hexdigest()


# --- the process that asks -------------------------------------------------------------------------------------------


def measured(job: Job) -> dict[str, Any] | None:
    """What a process of its own prints for a job; None if it fails, which is said on stderr."""
    threads = {"RAYON_NUM_THREADS": str(job.threads), "TOKENIZERS_PARALLELISM": str(job.threads > 1).lower()}
    command = [sys.executable, __file__, "--job", json.dumps(job._asdict())]
    done = subprocess.run(command, env=os.environ | threads, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def rows(job: Job, processes: int) -> Iterator[list[str]]:
    """A line for each library and number of threads: medians of several processes, in turn with those of the others."""
    size = Path(job.text).stat().st_size / MEGABYTE
    reference = ""
    for threads in sorted({1, os.cpu_count() or 1}):
        libraries = [library for library in TASKS[job.task] if find_spec(library.split(",")[0])]
        results: dict[str, list[dict[str, Any] | None]] = {library: [] for library in libraries}
        for _ in range(processes):
            for library in libraries:
                results[library].append(measured(job._replace(library=library, threads=threads)))
        for library, several in results.items():
            done = [result for result in several if result is not None]
            if len(done) < len(several):
                yield [library, str(threads), *["failed"] * 6]
                continue
            reference = reference or done[0]["ids"]
            timings = [[Timing(*timing) for timing in result["timings"]] for result in done]
            cpu_seconds = statistics.median(first.cpu_seconds for first, *_ in timings)
            wall_seconds = statistics.median(first.wall_seconds for first, *_ in timings)
            later = [later or [first] for first, *later in timings]
            best_cpu = statistics.median(min(timing.cpu_seconds for timing in each) for each in later)
            best_wall = statistics.median(min(timing.wall_seconds for timing in each) for each in later)
            differing = {result["num_ids"] for result in done if result["ids"] != reference}
            yield [
                *(library, str(threads), f"{cpu_seconds:.3f}", f"{wall_seconds:.3f}"),
                *(f"{size / seconds:.1f}" for seconds in (cpu_seconds, best_cpu, best_wall)),
                bytes_text(statistics.median_low(result["memory_bytes"] for result in done)),
                f"differ ({min(differing):,})" if differing else "equal",
            ]


def compare(text: str, vocab_size: int, passes: int, processes: int) -> None:
    """Both tables of one text."""
    title = f"{Path(text).name} ({bytes_text(Path(text).stat().st_size)}), {vocab_size:,} tokens"
    medians = f"medians of {processes} processes"
    headers = ["", "threads", "CPU s", "wall s", "MB/CPU s", "later", "later, wall", "memory", "ids"]
    with tempfile.TemporaryDirectory() as directory:
        command = ["train-bpe", text, "--vocab-size", str(vocab_size), "--special-token", SPECIAL, "--out", directory]
        subprocess.run(
            [sys.executable, "-m", "tinylm", *command, "--force", "--quiet"], check=True, stdout=subprocess.PIPE
        )
        job = Job("", "encode", text, directory, vocab_size, 1, passes)
        print(f"\n{title}: encoding, first pass and best of {passes - 1} later, {medians}")
        print(table(headers, list(rows(job, processes))))
        headers = [*headers[:5], "", "", "memory", "vocabulary"]
        print(f"\n{title}: training, {medians}")
        training = rows(job._replace(task="train", passes=1), processes)
        print(table(headers, [[*row[:5], "", "", *row[7:]] for row in training]), flush=True)


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", nargs="+", default=[])
    parser.add_argument("--vocab-size", type=int, default=32_000)
    parser.add_argument("--passes", type=int, default=4)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        print(json.dumps(measure(Job(**json.loads(arguments.job)))))
        return
    for text in arguments.text:
        compare(text, arguments.vocab_size, arguments.passes, arguments.processes)


if __name__ == "__main__":
    main()
