"""`tinylm memory`: the write-up's memory section, and the exact answer."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

Invoke = Callable[..., Result]
WRITEUP = ["--preset", "gpt2-xl", "--set", "feed_forward=silu", "--activations", "writeup"]


@pytest.fixture
def predicted(invoke: Invoke) -> Callable[..., dict[str, Any]]:
    """The JSON of a prediction."""

    def run(*arguments: str) -> dict[str, Any]:
        result = invoke("memory", *arguments, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    return run


def test_the_write_up_s_memory_section(predicted: Callable[..., dict[str, Any]]) -> None:
    """26.2 GB fixed, 10.5 GB a sample, at most 5 on 80 GB."""
    record = predicted(*WRITEUP, "--device-memory", "80")
    assert f"{record['fixed_bytes'] / 1e9:.1f}" == "26.2"
    assert f"{record['activation_bytes_per_sample'] / 1e9:.1f}" == "10.5"
    assert record["max_batch_size"] == 5
    assert record["fixed_bytes"] == 16 * 1_635_537_600
    assert record["total_bytes"] == record["fixed_bytes"] + record["activation_bytes_per_sample"]


def test_json_has_the_promised_keys(predicted: Callable[..., dict[str, Any]]) -> None:
    """Those that other programs rely on; without a device there is no largest batch."""
    record = predicted("--preset", "gpt2-small", "--batch-size", "4")
    assert record["schema"] == 1
    assert record["parameters_bytes"] == record["gradients_bytes"] == record["optimizer_bytes"] / 2
    assert record["total_bytes"] > record["fixed_bytes"]
    assert record["max_batch_size"] is None


def test_a_gpu_s_kernels_keep_less_and_take_a_workspace(predicted: Callable[..., dict[str, Any]]) -> None:
    """--device cuda: in fp32 no second copy of attention's output in any block, and 64 MiB for the matrix library."""
    options = ["--preset", "tinystories", "--batch-size", "32"]
    cpu, cuda = predicted(*options), predicted(*options, "--device", "cuda")
    assert (cpu["device"], cuda["device"]) == ("cpu", "cuda")
    copies = 8 * 32 * 256 * 512 * 4
    assert cpu["total_bytes"] - cuda["total_bytes"] == copies - 2**26
    options += ["--precision", "bf16", "--context-length", "1024"]  # too long for a CPU's products around a softmax
    assert predicted(*options, "--device", "cuda")["total_bytes"] - predicted(*options)["total_bytes"] == 2**26
    assert (cpu["workspace_bytes"], cuda["workspace_bytes"]) == (0, 2**26)


def test_another_optimizer_needs_no_more_than_its_name(predicted: Callable[..., dict[str, Any]]) -> None:
    """The configuration's keys that only its own kind has are left out, as `train` does."""
    assert predicted("--config", "demo", "--set", "optim.kind=sgd")["optimizer"] == "sgd"


def test_checks_run_where_they_can(invoke: Invoke) -> None:
    """The trace follows a CPU's kernels, and measuring needs the device."""
    for check, reason in (
        ("--trace", "--trace follows a CPU's kernels"),
        ("--measure", "--measure runs on this machine's cpu"),
    ):
        result = invoke("memory", "--preset", "tinystories", "--device", "cuda", check)
        assert (result.exit_code, result.stdout) == (2, "")
        assert reason in result.stderr


def test_optimizers_and_changes_are_compared(predicted: Callable[..., dict[str, Any]]) -> None:
    """Muon keeps less state than AdamW, SGD none; checkpointing needs less."""
    state = {
        kind: predicted("--preset", "tinystories", "--optimizer", kind)["optimizer_bytes"]
        for kind in ("adamw", "normuon", "muon", "sgd")
    }
    assert state["adamw"] > state["normuon"] > state["muon"] > state["sgd"] == 0
    record = predicted("--preset", "tinystories", "--batch-size", "32", "--device-memory", "24")
    checkpointed = record["alternatives"]["activation checkpointing"]
    assert checkpointed["total_bytes"] < record["total_bytes"]
    assert checkpointed["max_batch_size"] > record["max_batch_size"] > 32


def test_options_have_rows_of_their_own(invoke: Invoke, predicted: Callable[..., dict[str, Any]]) -> None:
    """Blocks with and without a value embedding stand apart; with one, nothing keeps the stacked projections."""
    options = ["--preset", "tinystories", "--set", "value_embeddings=3", "--set", "embedding_norm=true"]
    lines = invoke("memory", *options).stdout.splitlines()
    rows = [line.strip().split("  ")[0] for line in lines]
    for label in ("embedding norm", "value embeddings", "with a value embedding", "attention and its norm"):
        assert label in rows
    assert "value embeddings" not in invoke("memory", "--preset", "tinystories").stdout
    kept = predicted(*options)["kept_bytes"]
    assert kept["attention"] - kept["attention_with_value_embedding"] == 2 * 4 * 256 * 512


def test_trace_and_measurement_stand_beside_the_prediction(invoke: Invoke) -> None:
    """With the error of the prediction."""
    small = ["--set", "d_model=32", "--set", "num_heads=2", "--set", "d_ff=64", "--set", "num_layers=1"]
    result = invoke("memory", "--preset", "tinystories", *small, "--trace", "--measure")
    assert result.exit_code == 0, result.stderr
    for word in ("traced", "measured"):
        line = next(line for line in result.stdout.splitlines() if word in line)
        assert abs(float(line.rsplit("(", 1)[1].rstrip("%)"))) < 0.5


def test_several_models_stand_side_by_side(invoke: Invoke) -> None:
    """One column each, formulas on demand."""
    result = invoke("memory", "--preset", "gpt2-small", "--preset", "gpt2-xl", "--explain", "--device-memory", "80")
    header, *_, last = [line for line in result.stdout.splitlines() if line]
    assert header.split()[:4] == ["Memory", "formula", "gpt2-small,", "S=1,024"]
    assert "P parameters" in last


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([*WRITEUP, "--trace"], "leave out --activations writeup"),
        (["--preset", "owt", "--set", "train.grad_accumulation=4", "--batch-size", "6"], "not divisible"),
        (["--preset", "ovt"], "did you mean 'owt'?"),
    ],
)
def test_nonsense_gets_a_plain_answer(invoke: Invoke, arguments: list[str], says: str) -> None:
    """Exit code 2 and what is wrong."""
    result = invoke("memory", *arguments)
    assert result.exit_code == 2
    assert says in result.stderr
