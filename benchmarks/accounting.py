"""Our FLOPs and memory beside those of other conventions and tools, on the write-up's TinyStories model.

    pip install calflops accelerate transformers
    python benchmarks/accounting.py [--start-up]

PaLM's and 6 N D's are formulas; the EleutherAI cookbook's are its calculators' (calc/calc_transformer_flops.py and
calc_transformer_mem.py), which are scripts without a package; calflops and accelerate are run on the built model. The
reference is PyTorch's own count of a forward and backward pass, and its allocator's peak over a training step.
"""

import resource
import subprocess
import sys
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from tinylm.accounting.flops import training_flops_per_token
from tinylm.accounting.memory import training_memory, writeup_memory
from tinylm.accounting.moments import Training
from tinylm.accounting.parameters import count_parameters
from tinylm.accounting.shape import ModelShape
from tinylm.commands.console import table
from tinylm.commands.rehearsal import measured_bytes, traced_bytes
from tinylm.configs.model import ModelConfig
from tinylm.model import build_model

CONFIG = ModelConfig(attention="manual")
SHAPE = ModelShape.of(ModelConfig())
BATCH_SIZES = (1, 8, 32)


def counted_flops_per_token() -> int:
    """PyTorch's count on the meta device, where every product of the written-out attention is seen."""
    model = build_model(CONFIG, device="meta")
    token_ids = torch.zeros(1, SHAPE.context_length, dtype=torch.long, device="meta")
    counter = FlopCounterMode(display=False)
    with counter:
        model(token_ids).sum().backward()
    return counter.get_total_flops() // SHAPE.context_length


def six_n() -> float:
    """6 N with every parameter (Kaplan et al., arXiv 2001.08361, leave the embeddings out)."""
    return 6 * count_parameters(SHAPE).total


def palm() -> float:
    """6 N + 12 L H Q T, N without embeddings looked up (Chowdhery et al., arXiv 2204.02311, appendix B)."""
    attention = 12 * SHAPE.num_layers * SHAPE.d_model * SHAPE.context_length
    return 6 * count_parameters(SHAPE).non_embedding + attention


def cookbook_flops(passes: int) -> float:
    """The cookbook's: a feed-forward of width 4 D with two matrices; 4 passes recompute activations, its default."""
    layers, width, length = SHAPE.num_layers, SHAPE.d_model, SHAPE.context_length
    projections, attention, feed_forward = 8 * width**2, 4 * length * width, 16 * width**2
    return passes * layers * (projections + attention + feed_forward) + 6 * width * SHAPE.vocab_size


def calflops() -> float:
    """What calflops reports for Hugging Face's Llama of the same sizes; our own layers it does not see at all."""
    from calflops import calculate_flops
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=SHAPE.vocab_size,
        hidden_size=SHAPE.d_model,
        intermediate_size=SHAPE.d_ff,
        num_hidden_layers=SHAPE.num_layers,
        num_attention_heads=SHAPE.num_heads,
        max_position_embeddings=SHAPE.context_length,
    )
    flops, _, _ = calculate_flops(
        LlamaForCausalLM(config),
        args=[torch.zeros(1, SHAPE.context_length, dtype=torch.long)],
        include_backPropagation=True,
        print_results=False,
        output_as_string=False,
    )
    return float(flops) / SHAPE.context_length


def accelerate() -> float:
    """What `accelerate estimate-memory` shows for training with Adam: four times the parameters' bytes."""
    from accelerate.utils import calculate_maximum_sizes

    total, _ = calculate_maximum_sizes(build_model(ModelConfig(), device="meta"))
    return float(4 * total)


def cookbook_memory(batch_size: int) -> float:
    """The cookbook's, in float32: 20 bytes a parameter, and activations by the ZeRO paper's table."""
    layers, width, length, heads = SHAPE.num_layers, SHAPE.d_model, SHAPE.context_length, SHAPE.num_heads
    matrices = 4 * layers * width**2 + 3 * layers * SHAPE.d_ff * width
    vectors = 8 * width * layers + 2 * width + width * length
    parameters = 2 * SHAPE.vocab_size * width + matrices + vectors
    activations = length * batch_size * width * layers * (16 * 4 + 2 + (2 * 4 + 1) * heads * length / width)
    return 20 * parameters + activations


def flops_table() -> str:
    """FLOPs a token, forward and backward, and how far each is from either convention."""
    dense, causal = training_flops_per_token(SHAPE), training_flops_per_token(SHAPE, "causal")
    methods: dict[str, Callable[[], float]] = {
        "counted by PyTorch": counted_flops_per_token,
        "tinylm, dense": lambda: dense,
        "tinylm, causal": lambda: causal,
        "PaLM, 6 N + 12 L S D": palm,
        "6 N D": six_n,
        "calflops": calflops,
        "cookbook": lambda: cookbook_flops(3),
        "cookbook, default": lambda: cookbook_flops(4),
    }
    rows = []
    for name, method in methods.items():
        flops = method()
        rows.append([name, f"{flops / 1e6:,.2f}", f"{flops / dense - 1:+.1%}", f"{flops / causal - 1:+.1%}"])
    return table(["MFLOPs a token", "", "of dense", "of causal"], rows)


def memory_table() -> str:
    """Bytes at the peak of a step in float32 with AdamW, and how far each prediction is from the measured ones."""
    methods: dict[str, Callable[[int], float]] = {
        "measured": lambda size: measured_bytes(SHAPE, size, Training()),
        "tinylm": lambda size: training_memory(SHAPE, size, Training()).total_bytes,
        "tinylm --trace": lambda size: traced_bytes(SHAPE, size, Training()),
        "write-up's formula": lambda size: writeup_memory(SHAPE, size, Training()).total_bytes,
        "accelerate estimate": lambda _: accelerate(),
        "cookbook": cookbook_memory,
    }
    amounts = {name: [method(size) for size in BATCH_SIZES] for name, method in methods.items()}
    rows = [
        [name, *(f"{a / 1e9:.3f} ({a / b - 1:+.1%})" for a, b in zip(figures, amounts["measured"], strict=True))]
        for name, figures in amounts.items()
    ]
    return table(["GB at the peak of a step", *(f"batch {size}" for size in BATCH_SIZES)], rows)


def start_up_table(repetitions: int = 15) -> str:
    """CPU seconds of `tinylm count-flops --preset gpt2-xl` and of a Typer program with one integer option."""
    bare = (
        "import typer\napp = typer.Typer(rich_markup_mode=None)\n"
        "@app.command()\ndef main(number: int = 1) -> None:\n    typer.echo(number)\napp()"
    )
    ours = ["-m", "tinylm", "count-flops", "--preset", "gpt2-xl"]
    seconds: dict[str, list[float]] = {"bare": [], "ours": []}
    for _ in range(repetitions):  # in turn, so that both see the same machine
        for name, arguments in (("bare", ["-c", bare]), ("ours", ours)):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds[name].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    bare_median, our_median = (sorted(values)[repetitions // 2] for values in seconds.values())
    rows = [["bare Typer", f"{bare_median:.3f}"], ["count-flops", f"{our_median:.3f}"]]
    return table([f"CPU seconds, median of {repetitions}", ""], [*rows, ["ratio", f"{our_median / bare_median:.2f}"]])


if __name__ == "__main__":
    if "--start-up" in sys.argv:
        print(start_up_table())
    else:
        print(flops_table(), memory_table(), sep="\n\n")
