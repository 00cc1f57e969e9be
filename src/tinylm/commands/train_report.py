"""What `tinylm train` says while it runs and when it ends."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tinylm.commands.console import Advance, Console, bytes_text, count_text, duration, table

if TYPE_CHECKING:
    from tinylm.training.reports import EndReport, ProfileReport, Report, StepReport
    from tinylm.training.run_directory import RunDirectory

WAITING_WORTH_SAYING = 0.05
"""Share of a step's time that it may wait for data before that is shown."""


def follow(reports: "Iterable[Report]", console: Console, advance: Advance) -> "EndReport":
    """Show each report as it comes; returns the last."""
    from tinylm.training import reports as kinds

    peak_rate = math.inf
    for report in reports:
        match report:
            case kinds.StartReport():
                peak_rate = report.peak_tokens_per_second
                console.note(
                    f"{count_text(report.num_parameters)} parameters on {report.device}, {report.precision}: "
                    f"{report.flops_per_step:.3e} FLOPs a step, {bytes_text(report.memory_bytes)} at its peak"
                )
                for note in report.notes:
                    console.note(f"  {note}")
                advance(report.fraction)
            case kinds.StepReport():
                advance(report.fraction, _step_text(report, peak_rate))
            case kinds.EvaluationReport():
                console.note(
                    f"step {report.step}: valid loss {report.valid_loss:.4f}, perplexity {report.valid_perplexity:.2f}"
                )
            case kinds.SampleReport() | kinds.NoteReport():
                console.note(f"step {report.step}: {report.text}")
            case kinds.ProfileReport():
                console.note(_profile_text(report))
            case kinds.CheckpointReport():
                pass
            case kinds.EndReport():
                end = report  # not returned at once: the run is only left, and its lock given up, after its last report
    return end


def _step_text(report: "StepReport", peak_rate: float) -> str:
    """The figures beside the progress bar."""
    step_seconds = report.tokens / report.step / report.tokens_per_second
    waiting = report.data_seconds / step_seconds
    return (
        f"step {report.step:,}  loss {report.loss:.3f}  {report.tokens_per_second:,.0f} tokens/s  "
        f"MFU {report.tokens_per_second / peak_rate:.0%}  {bytes_text(report.memory_bytes)}"
        + (f"  waits for data {waiting:.0%}" if waiting > WAITING_WORTH_SAYING else "")
    )


def _profile_text(report: "ProfileReport") -> str:
    """Where the time went, and where to look closer."""
    rows = [
        (operation.name, f"{operation.calls:,}", f"{operation.seconds * 1e3:,.1f}", f"{operation.share:.1%}")
        for operation in report.operations
    ]
    trace = f"{report.trace}: open it in https://ui.perfetto.dev or chrome://tracing"
    return f"{table(('operation', 'calls', 'ms', 'share'), rows)}\n{trace}"


def end_text(end: "EndReport", curve: str) -> str:
    """What a person wants to know when a run ends."""
    lines = [
        f"{end.status}: {end.steps:,} steps, {count_text(end.tokens)} tokens in {duration(end.seconds)} "
        f"({end.tokens_per_second:,.0f} tokens/s, MFU {end.mfu:.0%}, {bytes_text(end.memory_bytes)})",
        ("train loss not finite" if end.train_loss is None else f"train loss {end.train_loss:.4f}") + _valid_text(end),
    ]
    if curve:
        lines += ["", curve]
    if end.status == "done":
        lines += ["", f'next: tinylm sample {end.run} --prompt "Once upon a time"']
    return "\n".join(lines)


def _valid_text(end: "EndReport") -> str:
    if end.valid_loss is None or end.valid_perplexity is None:
        return ""
    text = f"   valid loss {end.valid_loss:.4f}   perplexity {end.valid_perplexity:.2f}"
    text += f"   {end.bits_per_byte:.4f} bits/byte" if end.bits_per_byte is not None else ""
    text += f"   ({end.valid_tokens:,} tokens)"
    return text + (f"   last step's weights {end.last_valid_loss:.4f}" if end.last_valid_loss is not None else "")


def draw_curve(run: "RunDirectory", *, unicode: bool) -> str:
    """Save the learning curve as a picture; returns it as text, in ASCII if not `unicode`, with the picture's path."""
    from tinylm.training.curves import save_learning_curve, text_curve

    metrics = run.metrics()
    picture = run.path / "learning-curve.png"
    save_learning_curve(metrics, picture)
    return f"{text_curve(metrics, unicode=unicode)}\n{picture}"
