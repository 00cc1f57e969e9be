"""Runs on a budget: they end on time, fully decayed, and keep the time used when they are stopped and resumed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tinylm.configs.loader import load_run_config
from tinylm.training import clock, device
from tinylm.training.device import Measurement
from tinylm.training.loop import Trainer
from tinylm.training.reports import EndReport, EvaluationReport, NoteReport, ProfileReport, Report, StepReport
from tinylm.training.run import train_run

BUDGET = ["train.budget_seconds=1", "train.eval_every=0", "train.save_every=0"]


def reports(
    prepared: Path, run: Path, *overrides: str, should_stop: Callable[[], bool] = lambda: False
) -> list[Report]:
    """All that a run of the prepared configuration reports."""
    return list(train_run(load_run_config(prepared / "config.toml", overrides), run, should_stop=should_stop))


def ending(records: list[Report]) -> EndReport:
    """The last report."""
    assert isinstance(records[-1], EndReport)
    return records[-1]


def steps(records: list[Report]) -> list[StepReport]:
    """The reports of optimizer steps."""
    return [record for record in records if isinstance(record, StepReport)]


def after(count: int) -> Callable[[], bool]:
    """Says yes from the given question on."""
    asked = iter([False] * count)
    return lambda: next(asked, True)


class SteadyTime:
    """Time that goes on by a hundredth of a second whenever somebody looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        self.now += 0.01
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> SteadyTime:
    """Makes all steps equally long, a few hundredths of a second."""
    steady = SteadyTime()
    monkeypatch.setattr(clock, "time", steady)
    return steady


def test_budget_ends_on_time_and_fully_decayed(prepared: Path, tmp_path: Path, time: SteadyTime) -> None:
    """A second's training takes a second, its last step has the minimal rate, and the summary says both."""
    records = reports(prepared, tmp_path / "run", *BUDGET)
    end, last = ending(records), steps(records)[-1]
    assert 0.9 < end.seconds <= 1.0
    assert end.steps > 20
    assert (last.lr, last.fraction) == (1e-3, 1.0)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["status"], summary["budget_seconds"], summary["seconds"]) == ("done", 1.0, end.seconds)


def test_evaluation_is_not_counted(
    prepared: Path, tmp_path: Path, time: SteadyTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evaluations that take an hour each leave as much time to train, and are counted apart."""
    evaluate = Trainer.evaluate

    def slowly(trainer: Trainer, *arguments: Any, **options: Any) -> Any:
        time.now += 3600
        return evaluate(trainer, *arguments, **options)

    without = ending(reports(prepared, tmp_path / "without", *BUDGET))
    monkeypatch.setattr(Trainer, "evaluate", slowly)
    records = reports(prepared, tmp_path / "run", *BUDGET, "train.eval_every=10")
    evaluations = sum(isinstance(record, EvaluationReport) for record in records)
    assert evaluations > 2
    assert ending(records).steps == without.steps
    assert 0.9 < ending(records).seconds <= 1.0
    assert ending(records).evaluation_seconds == pytest.approx(3600 * evaluations, abs=1)


def test_resumed_budget_keeps_the_time_used(prepared: Path, tmp_path: Path, time: SteadyTime) -> None:
    """Stopped half-way and resumed, a run trains for the rest of its budget and goes on down the schedule."""
    stopped = reports(prepared, tmp_path / "run", *BUDGET, should_stop=after(12))
    resumed = reports(prepared, tmp_path / "run", *BUDGET)
    assert ending(stopped).status == "stopped"
    assert 0.2 < ending(stopped).seconds < 0.8
    assert steps(resumed)[0].seconds > ending(stopped).seconds
    assert steps(resumed)[0].fraction > steps(stopped)[-1].fraction
    assert 0.9 < ending(resumed).seconds <= 1.0
    assert steps(resumed)[-1].lr == 1e-3


def test_complete_budget_is_complete(prepared: Path, tmp_path: Path, time: SteadyTime) -> None:
    """A run that used its budget trains no more, and goes on when it is given a larger one."""
    first = ending(reports(prepared, tmp_path / "run", *BUDGET))
    assert reports(prepared, tmp_path / "run", *BUDGET) == [first]
    longer = ending(reports(prepared, tmp_path / "run", *BUDGET, "train.budget_seconds=1.5"))
    assert 1.4 < longer.seconds <= 1.5
    assert longer.steps > first.steps


def test_a_kill_after_the_last_checkpoint_costs_no_step(prepared: Path, tmp_path: Path, time: SteadyTime) -> None:
    """When only the summary is missing, a resumed run writes it and trains no more."""
    first = ending(reports(prepared, tmp_path / "run", *BUDGET))
    (tmp_path / "run" / "summary.json").unlink()
    again = reports(prepared, tmp_path / "run", *BUDGET)
    assert steps(again) == []
    assert (ending(again).steps, ending(again).seconds) == (first.steps, first.seconds)


def test_a_last_step_that_took_less_than_expected_is_the_last(
    prepared: Path, tmp_path: Path, time: SteadyTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A complete run stays complete though its budget has room: it is evaluated anew without a step more."""
    launch = Trainer.launch

    def launch_and_hurry(trainer: Trainer) -> None:
        launch(trainer)
        time.now -= 0.015 if trainer.fraction >= 1 else 0.0

    monkeypatch.setattr(Trainer, "launch", launch_and_hurry)
    first = ending(reports(prepared, tmp_path / "run", *BUDGET))
    again = reports(prepared, tmp_path / "run", *BUDGET, "train.eval_batches=3")
    assert steps(again) == []
    assert (ending(again).steps, ending(again).seconds) == (first.steps, first.seconds)
    longer = ending(reports(prepared, tmp_path / "run", *BUDGET, "train.budget_seconds=1.5"))
    assert longer.steps > first.steps


def test_h100_hours_count_by_the_peak_rate(
    prepared: Path, tmp_path: Path, time: SteadyTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device with a thousandth of an H100's 989.4 TFLOP/s gets a thousand seconds for each of an H100's."""
    monkeypatch.setattr(device, "measure", lambda *_: Measurement(989.4e9, 1.0))
    records = reports(prepared, tmp_path / "run", f"train.budget_h100_hours={1e-3 / 3600}")
    end = ending(records)
    assert 0.9 < end.seconds <= 1.0
    assert end.h100_hours == pytest.approx(end.seconds / 3600 / 1000)
    assert (end.budget_seconds, end.budget_h100_hours) == (None, 1e-3 / 3600)


@pytest.mark.slow
def test_budget_by_the_real_clock(prepared: Path, tmp_path: Path) -> None:
    """Five seconds of training take five seconds, within one."""
    end = ending(reports(prepared, tmp_path / "run", *BUDGET, "train.budget_seconds=5"))
    assert end.seconds == pytest.approx(5.0, abs=1.0)


def test_final_evaluation_of_the_whole_file(prepared: Path, tmp_path: Path) -> None:
    """final_eval = "full" makes the last evaluation, and no other, one of all tokens; the summary says how many."""
    from tinylm.data.token_file import open_tokens

    settings = ["train.final_eval=full", "train.eval_every=6", "train.eval_batches=2"]
    records = reports(prepared, tmp_path / "run", *settings)
    num_tokens = len(open_tokens(prepared / "valid.npy").tokens) - 1
    counts = [record.valid_tokens for record in records if isinstance(record, EvaluationReport)]
    assert counts == [2 * 4 * 16, num_tokens]
    assert ending(records).valid_tokens == num_tokens
    whole = ending(reports(prepared, tmp_path / "whole", "train.eval_batches=0"))
    assert ending(records).valid_loss == whole.valid_loss


def test_averaged_weights_are_evaluated_saved_and_resumed(prepared: Path, tmp_path: Path) -> None:
    """With ema_decay both losses are reported; a run in two parts has the weights and averages of one in one part."""
    from tinylm.training.trained import TrainedModel

    average = ["train.ema_decay=0.9", "schedule.kind=constant", "train.eval_every=0", "train.save_every=6"]
    records = reports(prepared, tmp_path / "whole", *average)
    stopped = reports(prepared, tmp_path / "parts", *average, should_stop=after(4))
    assert ending(stopped).steps == 5
    reports(prepared, tmp_path / "parts", *average)
    for name in ("model.safetensors", "average.safetensors"):
        files = [tmp_path / run / "checkpoints" / "step-00000012" / name for run in ("whole", "parts")]
        assert files[0].read_bytes() == files[1].read_bytes()
    end, plain = ending(records), ending(reports(prepared, tmp_path / "plain", *average, "train.ema_decay=0"))
    assert end.last_valid_loss == plain.valid_loss
    assert end.valid_loss != plain.valid_loss
    assert plain.last_valid_loss is None
    used, averaged = TrainedModel.load(tmp_path / "whole").model.state_dict(), load_file(files[0])
    assert used.keys() == averaged.keys()
    assert all(torch.equal(used[name], averaged[name]) for name in used)


def test_every_option_of_the_model_is_resumed_and_sampled(prepared: Path, tmp_path: Path) -> None:
    """A run with all of them, by Muon with averaged weights, ends in the same bits in two parts, and writes text."""
    from tinylm.training.trained import TrainedModel

    options = {
        "num_layers": 3,
        "feed_forward": "relu2",
        "embedding_norm": "true",
        "qk_norm": "true",
        "value_embeddings": 1,
        "skip_connections": "true",
        "zero_init_outputs": "true",
        "logit_softcap": 15,
    }
    settings = [f"model.{name}={value}" for name, value in options.items()]
    settings += ["optim.kind=muon", "train.ema_decay=0.9", "train.eval_every=0", "train.save_every=6"]
    reports(prepared, tmp_path / "whole", *settings)
    assert ending(reports(prepared, tmp_path / "parts", *settings, should_stop=after(4))).status == "stopped"
    assert ending(reports(prepared, tmp_path / "parts", *settings)).status == "done"
    for name in ("model.safetensors", "optimizer.safetensors", "average.safetensors"):
        files = [tmp_path / run / "checkpoints" / "step-00000012" / name for run in ("whole", "parts")]
        assert files[0].read_bytes() == files[1].read_bytes()
    trained = TrainedModel.load(tmp_path / "parts")
    assert trained.model.value_embeddings[0].weight.any()
    assert len(list(trained.continuation([1, 2], max_new_tokens=9, temperature=1.0, top_p=1.0, seed=0))) > 0


def test_what_was_done_otherwise_is_said(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Running out of memory in the first step leaves a note, and the run goes on to its end."""
    from tinylm.training import loop

    build_loss = loop.build_loss

    def at_most_two_sequences(config: Any) -> Any:
        def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            if torch.is_grad_enabled() and len(targets) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return build_loss(config)(logits, targets)

        return loss

    monkeypatch.setattr(loop, "build_loss", at_most_two_sequences)
    records = reports(prepared, tmp_path / "run")
    (note,) = [record for record in records if isinstance(record, NoteReport)]
    assert (note.step, note.text.partition(":")[0]) == (1, "out of memory")
    assert ending(records).status == "done"


@pytest.mark.parametrize("profile_steps", [2, 30])
def test_profile_is_written_to_the_run(profile_steps: int, prepared: Path, tmp_path: Path) -> None:
    """Some steps profiled, or as many as there are, are one report and one trace, and change nothing else."""
    config = load_run_config(prepared / "config.toml")
    records = list(train_run(config, tmp_path / "run", profile_steps=profile_steps))
    (profile,) = [record for record in records if isinstance(record, ProfileReport)]
    assert profile.trace == tmp_path / "run" / "trace.json"
    assert profile.trace.is_file()
    assert [step.loss for step in steps(records)] == [
        step.loss for step in steps(reports(prepared, tmp_path / "plain"))
    ]


def test_a_model_with_rows_to_spare_writes_text(prepared: Path, tmp_path: Path) -> None:
    """With twice the tokenizer's tokens in its vocabulary, a model of one step draws only those that have text."""
    from tinylm.training.trained import TrainedModel

    settings = ["model.vocab_size=600", "train.sample_every=1", "train.steps=2", "schedule.warmup_steps=0"]
    assert ending(reports(prepared, tmp_path / "run", *settings)).status == "done"
    trained = TrainedModel.load(tmp_path / "run")
    ids = trained.continuation([1], max_new_tokens=200, temperature=2.0, top_p=1.0, seed=0)
    assert len(trained.tokenizer.decode(list(ids))) > 0
