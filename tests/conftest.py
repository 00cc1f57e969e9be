"""What tests of several packages share: the command as a function, and a small prepared data directory."""

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from typer.testing import CliRunner, Result

settings.register_profile("tinylm", deadline=None)  # a limit in wall-clock time fails on a busy machine
settings.load_profile("tinylm")

# The models of the tests are so small that a second thread only waits, and test processes would fight over the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

Invoke = Callable[..., Result]

CONFIG = """
seed = 1
[data]
train = "train.npy"
valid = "valid.npy"
tokenizer = "tokenizer"
[model]
vocab_size = 300
context_length = 16
d_model = 32
num_layers = 2
num_heads = 2
d_ff = 64
[optim]
lr = 1e-2
[schedule]
warmup_steps = 2
min_lr = 1e-3
[train]
steps = 12
batch_size = 4
eval_every = 6
eval_batches = 2
save_every = 5
sample_every = 0
device = "cpu"
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a GPU need one."""
    of_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if of_gpu:
        import torch

        if not torch.cuda.is_available():
            for item in of_gpu:
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture
def invoke() -> Invoke:
    """Run a tinylm command in this process; stdout and stderr are kept apart."""
    from tinylm.cli import app

    def run(*arguments: object, input: str | bytes | None = None) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], input=input, prog_name="tinylm")

    return run


@pytest.fixture
def spawn() -> Callable[..., subprocess.Popen[str]]:
    """Start a tinylm command as a process of its own."""

    def start(*arguments: object, **options: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tinylm", *map(str, arguments)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **options
        )

    return start


def small_text(num_documents: int, seed: int) -> str:
    """Short documents of few words, each ended by `<|endoftext|>`."""
    words = ["the", "cat", "dog", "sat", "ran", "on", "under", "a", "mat", "tree", "and", "then", "it", "was", "happy"]
    choose = random.Random(seed)
    documents = (" ".join(choose.choices(words, k=12)) + ".\n<|endoftext|>\n" for _ in range(num_documents))
    return "".join(documents)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a tokenizer, two token files and `config.toml` that names them by absolute paths."""
    from tinylm.cli import app

    directory = tmp_path_factory.mktemp("prepared")
    (directory / "train.txt").write_text(small_text(400, seed=0))
    (directory / "valid.txt").write_text(small_text(60, seed=1))
    special = ["--special-token", "<|endoftext|>"]
    commands = [
        ["train-bpe", "train.txt", "--vocab-size", "300", *special, "--out", "tokenizer"],
        ["encode", "train.txt", "--tokenizer", "tokenizer", "--out", "train.npy"],
        ["encode", "valid.txt", "--tokenizer", "tokenizer", "--out", "valid.npy"],
    ]
    names = {"train.txt", "valid.txt", "train.npy", "valid.npy", "tokenizer"}
    for command in commands:
        arguments = [str(directory / word) if word in names else word for word in command]
        result = CliRunner().invoke(app, arguments, prog_name="tinylm")
        assert result.exit_code == 0, result.output
    config = CONFIG
    for name in ("train.npy", "valid.npy", "tokenizer"):
        config = config.replace(f'"{name}"', f'"{directory / name}"')
    (directory / "config.toml").write_text(config)
    return directory
