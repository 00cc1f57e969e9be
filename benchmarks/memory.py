"""Predicted and traced memory beside the measured peak of a real training step, every configuration in one call.

    python benchmarks/memory.py

On a GPU the measure is torch.cuda.max_memory_allocated, on a CPU the allocator's own events; the trace follows a CPU's
kernels. Every configuration runs in a process of its own, so that none inherits another's cache. Without a GPU the
configurations are smaller.
"""

import json
import subprocess
import sys
from typing import Any

import torch

from tinylm.commands.console import table

ALL_OPTIONS = (
    "--set feed_forward=relu2 --set d_ff=2112 --set qk_norm=true --set logit_softcap=30 "
    "--set embedding_norm=true --set value_embeddings=3 --set skip_connections=true"
)
ON_CPU = [
    "--preset tinystories --batch-size 8",
    "--preset tinystories --batch-size 8 --set attention=manual",
    "--preset tinystories --batch-size 8 --set feed_forward=silu --set d_ff=2112",
    "--preset tinystories --batch-size 8 --set position=none",
    "--preset tinystories --batch-size 8 --set norm=none --set num_layers=2",
    "--preset tinystories --batch-size 8 --set norm_placement=post",
    "--preset tinystories --batch-size 8 --set train.grad_accumulation=4",
    "--preset tinystories --batch-size 2 --optimizer muon",
    "--preset tinystories --batch-size 2 --precision bf16",
    "--preset owt --batch-size 4",
    "--preset tinystories --batch-size 8 --set feed_forward=relu2 --set d_ff=2112",
    "--preset tinystories --batch-size 8 --set qk_norm=true",
    "--preset tinystories --batch-size 8 --set logit_softcap=30",
    "--preset tinystories --batch-size 8 --set embedding_norm=true",
    "--preset tinystories --batch-size 8 --set value_embeddings=3",
    "--preset tinystories --batch-size 8 --set skip_connections=true",
    f"--preset tinystories --batch-size 8 {ALL_OPTIONS}",
    f"--preset owt --batch-size 2 --precision bf16 --optimizer muon {ALL_OPTIONS}",
]
ON_GPU = [
    "--preset tinystories --batch-size 128",
    "--preset tinystories --batch-size 128 --precision bf16",
    "--preset tinystories --batch-size 128 --set attention=manual",
    "--preset tinystories --batch-size 128 --set feed_forward=silu --set d_ff=2112",
    "--preset owt --batch-size 128 --precision bf16",
    "--preset owt --batch-size 128 --precision bf16 --optimizer muon",
    "--preset owt --batch-size 256 --precision bf16 --set train.grad_accumulation=4",
    "--preset gpt2-small --batch-size 16 --precision bf16",
    "--preset gpt2-medium --batch-size 8 --precision bf16",
    "--preset gpt2-xl --batch-size 1 --precision bf16",
    f"--preset owt --batch-size 128 --precision bf16 --optimizer muon {ALL_OPTIONS}",
]


def rehearse(options: str, *, trace: bool) -> dict[str, Any]:
    """One configuration's prediction, trace and measure."""
    checks = ["--measure", *(["--trace"] if trace else [])]
    command = [sys.executable, "-m", "tinylm", "memory", *options.split(), *checks, "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def main() -> None:
    """Print the table as its rows come in, then the largest error."""
    on_gpu = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if on_gpu else "CPU"
    rows, worst = [], 0.0
    estimates = {"total_bytes": "predicted"} if on_gpu else {"total_bytes": "predicted", "traced_bytes": "traced"}
    for options in ON_GPU if on_gpu else ON_CPU:
        record = rehearse(options, trace=not on_gpu)
        measured = record["measured_bytes"]
        errors = [record[key] / measured - 1 for key in estimates]
        worst = max(worst, abs(errors[0]))
        amounts = [f"{record[key] / 1e9:.3f}" for key in ("measured_bytes", *estimates)]
        rows.append([options.replace(ALL_OPTIONS, "(all options)"), *amounts, *(f"{error:+.2%}" for error in errors)])
        print(*rows[-1], file=sys.stderr)
    headers = [f"tinylm memory, on {device}, torch {torch.__version__}", "measured GB", *estimates.values()]
    print(table([*headers, *(f"{name}, error" for name in estimates.values())], rows))
    print(f"largest error of a prediction: {worst:.2%}")


if __name__ == "__main__":
    main()
