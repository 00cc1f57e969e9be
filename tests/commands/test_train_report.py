"""What a person sees of a run: its figures beside the bar, what was done otherwise, and where the time went."""

import dataclasses
from pathlib import Path

import pytest

from tinylm.commands.console import Console
from tinylm.commands.train_report import end_text, follow
from tinylm.training.reports import (
    EndReport,
    EvaluationReport,
    NoteReport,
    Operation,
    ProfileReport,
    Report,
    StartReport,
    StepReport,
)

START = StartReport(
    step=0,
    fraction=0.0,
    num_parameters=35_938_816,
    flops_per_step=10**12,
    memory_bytes=3 * 10**9,
    device="cpu",
    precision="fp32",
    peak_tokens_per_second=1000.0,
    notes=("precision fp32: no bf16 hardware here",),
)
END = EndReport(
    status="done",
    steps=100,
    tokens=6400,
    train_loss=2.5,
    valid_loss=2.25,
    valid_perplexity=9.488,
    bits_per_byte=0.81,
    valid_tokens=12_345,
    last_valid_loss=None,
    seconds=75.0,
    h100_hours=1e-6,
    budget_seconds=None,
    budget_h100_hours=None,
    evaluation_seconds=3.0,
    tokens_per_second=85.3,
    memory_bytes=2_500_000_000,
    mfu=0.0853,
    run="runs/x",
)


def step(data_seconds: float = 0.0) -> StepReport:
    """The 50th of 100 steps, at 640 tokens/s: 64 tokens in a tenth of a second."""
    return StepReport(
        step=50,
        loss=3.25,
        lr=1e-3,
        grad_norm=1.0,
        tokens=50 * 64,
        seconds=5.0,
        tokens_per_second=640.0,
        fraction=0.5,
        data_seconds=data_seconds,
        memory_bytes=2_000_000_000,
        update_ratio=None,
    )


def shown(*reports: Report) -> list[tuple[float, str]]:
    """What the progress display is told."""
    told: list[tuple[float, str]] = []

    def advance(completed: float, message: str = "") -> None:
        told.append((completed, message))

    assert follow([START, *reports, END], Console(quiet=True), advance) is END
    return told


def test_figures_beside_the_bar() -> None:
    """The bar follows the share of the run; beside it stand loss, speed, MFU and memory."""
    assert shown(step())[1] == (0.5, "step 50  loss 3.250  640 tokens/s  MFU 64%  2.00 GB")


def test_waiting_for_data_is_said_when_it_matters() -> None:
    """A fifth of the step spent waiting for the batch is shown, a hundredth is not."""
    assert shown(step(data_seconds=0.02))[1][1].endswith("waits for data 20%")
    assert "data" not in shown(step(data_seconds=0.001))[1][1]


def test_notes_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Choices, evaluations, surprises and profiles are lines on stderr; stdout stays empty."""
    reports: list[Report] = [
        START,
        NoteReport(1, "out of memory: going on with micro-batches of 64"),
        EvaluationReport(10, 2.25, 9.488, 0.81, 12_345, None),
        ProfileReport(14, Path("runs/x/trace.json"), (Operation("aten::mm", 52, 0.25, 0.6),)),
        END,
    ]
    follow(reports, Console(), lambda *_: None)
    out, err = capsys.readouterr()
    assert out == ""
    for words in (
        "35.94M parameters on cpu, fp32",
        "precision fp32: no bf16 hardware here",
        "step 1: out of memory: going on with micro-batches of 64",
        "step 10: valid loss 2.2500, perplexity 9.49",
        "aten::mm      52  250.0  60.0%",
        "runs/x/trace.json: open it in https://ui.perfetto.dev",
    ):
        assert words in err


def test_end_for_a_person() -> None:
    """Steps, time, speed, losses, over how many tokens, and what to type next."""
    lines = end_text(END, "").splitlines()
    assert lines[0] == "done: 100 steps, 6.40k tokens in 1m15s (85 tokens/s, MFU 9%, 2.50 GB)"
    assert "valid loss 2.2500   perplexity 9.49   0.8100 bits/byte   (12,345 tokens)" in lines[1]
    assert lines[-1] == 'next: tinylm sample runs/x --prompt "Once upon a time"'


def test_averaged_weights_are_told_apart() -> None:
    """When the loss is that of averaged weights, the last step's stands beside it."""
    assert "last step's weights 2.3100" in end_text(dataclasses.replace(END, last_valid_loss=2.31), "")
    assert "last step" not in end_text(END, "")
