"""Training speed: tinylm beside plain PyTorch, Hugging Face and litgpt, and the ceiling that the matrix products set.

    python benchmarks/train.py                      # the write-up's model on this machine, in at most ten minutes
    python benchmarks/train.py --models owt --minutes 3
    python benchmarks/train.py --precision fp32

All train the same model (as many FLOPs a token) on batches of the same size, with the mean loss over all tokens, AdamW
in one kernel, clipping, and the same precision (by default bf16 autocast where the device has it). Each is a process of
its own, as when it is used: what one of them asks of the C library or of PyTorch does nothing for the others. After a
warm-up they take turns for a few steps each, so that whatever else slows the machine slows all; the table has the
medians. On a GPU tinylm has one more row, with kernels whose results depend on timing, as those of the peers do; and
the operations that take most of its compiled step are listed. The ceiling is a loop of nothing but the products of a
step and its attention. Compiled ones take part if they are ready in half of the time. Peers that are not installed are
left out: `pip install transformers litgpt`.
"""

import argparse
import functools
import importlib.util
import math
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from tinylm.accounting.flops import training_flops_per_token
from tinylm.accounting.parameters import FEED_FORWARD_MATRICES
from tinylm.accounting.shape import ModelShape
from tinylm.commands.console import bytes_text, table
from tinylm.configs.model import ModelConfig
from tinylm.configs.presets import MODEL_PRESETS
from tinylm.configs.run import DataConfig, RunConfig, TrainConfig
from tinylm.model.attention import sdpa_attention
from tinylm.training.device import Execution, choose_execution
from tinylm.training.loop import Trainer
from tinylm.training.profiling import top_operations

NUM_TOKENS = 1_000_000
BATCH_SIZE = {"cpu": 8, "cuda": 128}
STEPS_A_TURN = {"cpu": 1, "cuda": 20}
FEWEST_TURNS = 3
AT_ONCE = {"cpu": {"eager": 1, "compiled": 1}, "cuda": {"eager": 2, "compiled": 4}}
"""How many get ready side by side; compiled ones take less of a GPU's memory, and more of the processor's time."""
PROFILED_STEPS = 5
WARM_UP_STEPS = 2

Steps = Callable[[int], None]
"""Does so many training steps."""

Turn = tuple[float, float, int | None]
"""Seconds a step, seconds of CPU time a step, and bytes at the peak."""

Wish = Literal["turn", "profile"]
"""What a contestant is asked for."""


@dataclass(frozen=True)
class Task:
    """What everyone has to do."""

    model: ModelConfig
    batch_size: int
    execution: Execution

    @functools.cached_property
    def tokens(self) -> "np.ndarray[tuple[int], np.dtype[np.uint16]]":
        """Random ones, the same for all."""
        return np.random.default_rng(0).integers(0, self.model.vocab_size, NUM_TOKENS).astype(np.uint16)

    @property
    def tokens_per_step(self) -> int:
        """Of a batch."""
        return self.batch_size * self.model.context_length

    def batch(self) -> tuple[Tensor, Tensor]:
        """Random windows, as nanoGPT draws them."""
        starts = np.random.randint(len(self.tokens) - self.model.context_length, size=self.batch_size)
        rows = np.stack([self.tokens[i : i + self.model.context_length + 1] for i in starts]).astype(np.int64)
        both = torch.from_numpy(rows)
        if self.execution.device.type == "cuda":
            both = both.pin_memory()
        both = both.to(self.execution.device, non_blocking=True)
        return both[:, :-1], both[:, 1:]


class PlainBlock(nn.Module):
    """A GPT-2 block in the style of nanoGPT: library layers, one product for query, key and value, SDPA."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, inner = config.d_model, config.d_ff * 3 // 2  # two matrices with the FLOPs of SwiGLU's three
        self.num_heads = config.num_heads
        self.norm1, self.norm2 = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
        self.qkv, self.output = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, inner, bias=False), nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, seq, width = x.shape
        heads = self.qkv(self.norm1(x)).view(batch, seq, 3, self.num_heads, -1).transpose(1, 3)
        query, key, value = heads.unbind(2)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.output(mixed.transpose(1, 2).reshape(batch, seq, width))
        hidden: Tensor = x + self.down(F.gelu(self.up(self.norm2(x))))
        return hidden


class PlainModel(nn.Module):
    """Embeddings, blocks, head."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.tokens = nn.Embedding(config.vocab_size, config.d_model)
        self.positions = nn.Embedding(config.context_length, config.d_model)
        self.blocks = nn.Sequential(*(PlainBlock(config) for _ in range(config.num_layers)))
        self.norm = nn.LayerNorm(config.d_model, bias=False)
        self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_embeddings:
            self.head.weight = self.tokens.weight
        self.apply(self._initialise)

    def _initialise(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)

    def forward(self, token_ids: Tensor) -> Tensor:
        x = self.tokens(token_ids) + self.positions.weight[: token_ids.shape[1]]
        logits: Tensor = self.head(self.norm(self.blocks(x)))
        return logits


def hugging_face_model(config: ModelConfig) -> Callable[[Tensor], Tensor]:
    """LlamaForCausalLM of this size, as ids -> logits."""
    from transformers import LlamaConfig, LlamaForCausalLM

    settings: dict[str, Any] = {
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "intermediate_size": config.d_ff,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "max_position_embeddings": config.context_length,
        "tie_word_embeddings": config.tie_embeddings,
        "attn_implementation": "sdpa",
        "use_cache": False,
    }

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.llama = LlamaForCausalLM(LlamaConfig(**settings))

        def forward(self, token_ids: Tensor) -> Tensor:
            logits: Tensor = self.llama(input_ids=token_ids, use_cache=False).logits
            return logits

    return Logits()


def litgpt_model(config: ModelConfig) -> Callable[[Tensor], Tensor]:
    """litgpt.GPT with Llama's layers."""
    from litgpt.config import Config
    from litgpt.model import GPT

    model = GPT(
        Config(
            block_size=config.context_length,
            vocab_size=config.vocab_size,
            padded_vocab_size=config.vocab_size,
            n_layer=config.num_layers,
            n_head=config.num_heads,
            n_embd=config.d_model,
            intermediate_size=config.d_ff,
            rotary_percentage=1.0,
            parallel_residual=False,
            bias=False,
            norm_class_name="RMSNorm",
            mlp_class_name="LLaMAMLP",
        )
    )
    if config.tie_embeddings:
        model.lm_head.weight = model.transformer.wte.weight
    made: Callable[[Tensor], Tensor] = model
    return made


PEERS: dict[str, tuple[str | None, Callable[[ModelConfig], Callable[[Tensor], Tensor]]]] = {
    "plain PyTorch": (None, PlainModel),
    "Hugging Face Llama": ("transformers", hugging_face_model),
    "litgpt": ("litgpt", litgpt_model),
}
"""Name -> the package it needs, and what builds its model."""


def peer_steps(task: Task, build: Callable[[ModelConfig], Callable[[Tensor], Tensor]], *, compiled: bool) -> Steps:
    """nanoGPT's loop around a peer's model."""
    model = build(task.model)
    assert isinstance(model, nn.Module)
    model.to(task.execution.device)

    def loss_of(inputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())

    compute = torch.compile(loss_of) if compiled else loss_of
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)

    def steps(count: int) -> None:
        for _ in range(count):
            inputs, targets = task.batch()
            with task.execution.autocast():
                loss = compute(inputs, targets)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return steps


def our_steps(task: Task, *, compiled: bool, deterministic: bool) -> Steps:
    """What `tinylm train` does between two evaluations."""
    train = TrainConfig(
        steps=1_000_000,
        batch_size=task.batch_size,
        device=str(task.execution.device),
        precision=task.execution.precision,
        compile="on" if compiled else "off",
        deterministic=deterministic,
    )
    config = RunConfig(data=DataConfig(train="", valid="", tokenizer=""), model=task.model, train=train)
    trainer = Trainer(config, task.tokens, task.tokens, choose_execution(train))

    def steps(count: int) -> None:
        for _ in range(count):
            trainer.launch()
            for report in trainer.read(leave=trainer.execution.lag):
                assert not trainer.diverged, report
        list(trainer.read())

    return steps


def ceiling_steps(task: Task) -> Steps:
    """Only the products of a step (forward, and two each backward) and its attention, on tensors that are there."""
    shape, device, dtype = task.model, task.execution.device, task.execution.dtype
    width, rows = shape.d_model, task.tokens_per_step
    matrices = [(width, 3 * width), (width, width), (width, 2 * shape.d_ff), (shape.d_ff, width)]
    products = [(matrix, shape.num_layers) for matrix in matrices] + [((width, shape.vocab_size), 1)]
    assert shape.feed_forward == "swiglu"
    assert FEED_FORWARD_MATRICES["swiglu"] == 3
    tensors = {
        (k, n): [torch.randn(size, device=device, dtype=dtype) for size in ((rows, k), (k, n), (rows, n))]
        for (k, n), _ in products
    }
    heads = (task.batch_size, shape.num_heads, shape.context_length, shape.d_head)
    query, key, value = (torch.randn(heads, device=device, dtype=dtype, requires_grad=True) for _ in range(3))
    gradient = torch.randn(heads, device=device, dtype=dtype)

    def steps(count: int) -> None:
        for _ in range(count):
            for (k, n), times in products:
                x, weight, y = tensors[k, n]
                for _ in range(times):
                    x @ weight  # what it takes is what counts
                    y @ weight.T
                    x.T @ y
            for _ in range(shape.num_layers):
                mixed = sdpa_attention(query, key, value)
                torch.autograd.grad(mixed, (query, key, value), gradient)

    return steps


CEILING = "matrix products only"
ANY_ORDER = "compiled, not deterministic"


def steps_of(name: str, task: Task) -> Steps:
    """What the contestant of this name does."""
    kind, _, way = name.partition(", ")
    if name == CEILING:
        return ceiling_steps(task)
    if kind == "tinylm":
        return our_steps(task, compiled=way != "eager", deterministic=way != ANY_ORDER)
    return peer_steps(task, PEERS[kind][1], compiled=way == "compiled")


@dataclass
class Contestant:
    """A process that trains for a few steps when it is its turn."""

    name: str
    process: multiprocessing.process.BaseProcess
    connection: "Connection[Wish, Any]"
    seconds: list[float] = field(default_factory=list)
    """Per step, one for each turn."""
    cpu_seconds: list[float] = field(default_factory=list)
    """The same of all threads' time on a core, which other programs do not lengthen much."""
    peak_bytes: int | None = None

    @classmethod
    def ready(cls, name: str, task: Task) -> "Contestant | None":
        """After its first steps, which compile and allocate; None when it cannot take part."""
        started = time.perf_counter()
        here, there = multiprocessing.get_context("spawn").Pipe()
        process = multiprocessing.get_context("spawn").Process(target=train_in_turn, args=(name, task, there))
        process.start()
        there.close()
        contestant = cls(name, process, here)
        try:
            contestant.connection.recv()
        except EOFError:
            print(f"  {name}: failed, see above", flush=True)
            return None
        print(f"  {name}: ready after {time.perf_counter() - started:.1f} s", flush=True)
        return contestant

    def take_turn(self) -> None:
        """A few steps on the clock."""
        self.connection.send("turn")
        seconds, cpu_seconds, self.peak_bytes = self.connection.recv()
        self.seconds.append(seconds)
        self.cpu_seconds.append(cpu_seconds)

    def profile(self) -> str:
        """The operations that its steps spend most time in."""
        self.connection.send("profile")
        listing: str = self.connection.recv()
        return listing

    def leave(self) -> None:
        """End the process."""
        self.connection.close()
        self.process.join()


def train_in_turn(name: str, task: Task, turns: "Connection[Any, Wish]") -> None:
    """The process of a contestant: a turn whenever it is told to."""
    on_gpu = task.execution.device.type == "cuda"
    if on_gpu or name == CEILING:  # TF32 beside bf16 is everyone's; what our loop asks of malloc is its own
        task.execution.prepare()
    steps, count = steps_of(name, task), STEPS_A_TURN[task.execution.device.type]
    steps(WARM_UP_STEPS)
    synchronize(task)
    turns.send((0.0, 0.0, None))
    while True:
        if on_gpu:
            torch.cuda.empty_cache()  # the memory is the next one's
        try:
            wish = turns.recv()
        except EOFError:
            return
        if wish == "profile":
            turns.send(profile_of(steps, on_gpu=on_gpu))
            continue
        if on_gpu:
            steps(1)
            torch.cuda.reset_peak_memory_stats()
        synchronize(task)
        started, used = time.perf_counter(), time.process_time()
        steps(count)
        synchronize(task)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - used
        turns.send((seconds / count, cpu_seconds / count, torch.cuda.max_memory_allocated() if on_gpu else None))


def profile_of(steps: Steps, *, on_gpu: bool) -> str:
    """A table of operations by their own time."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    steps(1)
    with profile(activities=activities, acc_events=True) as recording:
        steps(PROFILED_STEPS)
    rows = [
        (
            operation.name[:90],
            f"{operation.calls / PROFILED_STEPS:g}",
            f"{operation.seconds / PROFILED_STEPS * 1e3:.2f}",
            f"{operation.share:.1%}",
        )
        for operation in top_operations(recording, on_gpu=on_gpu)
    ]
    return table(("operation", "calls a step", "ms a step", "share"), rows)


def synchronize(task: Task) -> None:
    """Wait for the GPU."""
    if task.execution.device.type == "cuda":
        torch.cuda.synchronize()


def contestants(task: Task, deadline: float) -> Iterator[Contestant]:
    """Each warmed up and ready; compiled ones as long as there is time to compile them."""
    device = task.execution.device.type
    installed = [name for name, (package, _) in PEERS.items() if not package or importlib.util.find_spec(package)]
    eager = [CEILING, *(f"{name}, eager" for name in ("tinylm", *installed))]
    compiled = [f"{name}, compiled" for name in ("tinylm", *installed)]
    if device == "cuda":
        compiled.insert(1, f"tinylm, {ANY_ORDER}")
    for way, names in (("eager", eager), ("compiled", compiled)):
        with ThreadPoolExecutor(AT_ONCE[device][way]) as side_by_side:
            in_time = functools.partial(ready_in_time, task=task, deadline=deadline if way == "compiled" else math.inf)
            yield from filter(None, side_by_side.map(in_time, names))


def ready_in_time(name: str, task: Task, deadline: float) -> Contestant | None:
    """One that is begun with before the deadline."""
    return Contestant.ready(name, task) if time.perf_counter() < deadline else None


def compare(task: Task, deadline: float) -> str:
    """The table of one model."""
    half_time = time.perf_counter() + (deadline - time.perf_counter()) / 2
    ready = list(contestants(task, half_time))
    turns = 0
    while turns < FEWEST_TURNS or time.perf_counter() < deadline:
        for contestant in ready:
            contestant.take_turn()
        turns += 1
    text = f"{results(task, ready)}\n{turns} turns of {STEPS_A_TURN[task.execution.device.type]} steps each"
    if task.execution.device.type == "cuda":
        listings = [contestant.profile() for contestant in ready if contestant.name == "tinylm, compiled"]
        text = "\n\n".join([text, *listings])
    for contestant in ready:
        contestant.leave()
    return text


def results(task: Task, ready: list[Contestant]) -> str:
    """Tokens per second by the median turn, beside the best peer of either kind, the ceiling and the peak."""
    peak = task.execution.peak_flops()
    flops = training_flops_per_token(ModelShape.of(task.model))
    rate = {one.name: task.tokens_per_step / statistics.median(one.seconds) for one in ready}
    peers = [rate[name] for name in rate if name != CEILING and not name.startswith("tinylm")]
    rows = [
        (
            one.name,
            f"{rate[one.name]:,.0f}",
            f"{min(one.seconds) / statistics.median(one.seconds):.2f}",
            f"{statistics.median(one.cpu_seconds):.3f}",
            f"{rate[one.name] / max(peers):.2f}",
            f"{rate[one.name] / rate[CEILING]:.0%}",
            f"{rate[one.name] * flops / peak:.1%}",
            bytes_text(one.peak_bytes) if one.peak_bytes else "-",
        )
        for one in ready
    ]
    return table(
        ("", "tokens/s", "fastest/median", "CPU s a step", "of best peer", "of ceiling", "MFU", "memory"), rows
    )


def main() -> None:
    """Compare on each of the write-up's models that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    on_gpu = torch.cuda.is_available()
    parser.add_argument("--models", nargs="+", default=["tinystories", "owt"] if on_gpu else ["tinystories"])
    parser.add_argument("--minutes", type=float, default=9.0, help="time for all models together")
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto")
    parser.add_argument("--batch-size", type=int, help="in place of 8 on a CPU and 128 on a GPU")
    parser.add_argument("--layers", type=int, help="in place of 8, for a quick look")
    options = parser.parse_args()
    execution = choose_execution(TrainConfig(device="auto", precision=options.precision))
    started = time.perf_counter()
    for number, name in enumerate(options.models, start=1):
        layers = {"num_layers": options.layers} if options.layers else {}
        model = ModelConfig.model_validate(MODEL_PRESETS[name] | layers)
        task = Task(model, options.batch_size or BATCH_SIZE[execution.device.type], execution)
        machine = torch.cuda.get_device_name() if on_gpu else f"CPU, {torch.get_num_threads()} threads"
        print(
            f"{name}, batch {task.batch_size}, {execution.precision}, {machine}, torch {torch.__version__}", flush=True
        )
        print(compare(task, started + 60 * options.minutes * number / len(options.models)), "\n", flush=True)


if __name__ == "__main__":
    main()
