"""A training run from configuration to summary: data checked, steps, evaluations, samples, checkpoints, resume."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinylm.accounting.flops import training_flops_per_token
from tinylm.accounting.shape import ModelShape
from tinylm.configs.run import RunConfig, TrainConfig
from tinylm.data.batches import require_one_window
from tinylm.data.token_file import TokenFile, open_tokens
from tinylm.errors import TinylmError, UsageError
from tinylm.files import write_json
from tinylm.sampling import generate
from tinylm.tokenizer import Tokenizer
from tinylm.training.checkpoint import load_checkpoint, read_state, save_checkpoint
from tinylm.training.clock import Clock
from tinylm.training.device import choose_execution
from tinylm.training.environment import describe_environment
from tinylm.training.evaluation import bits_per_byte, perplexity
from tinylm.training.loop import Trainer
from tinylm.training.reports import (
    CheckpointReport,
    EndReport,
    EvaluationReport,
    Report,
    SampleReport,
    StartReport,
    StepReport,
)
from tinylm.training.run_directory import RunDirectory
from tinylm.training.tracking import Tracker
from tinylm.training.trained import end_of_text

SAMPLE_TOKENS = 200
SAMPLE_TEMPERATURE = 0.8
SAMPLE_TOP_P = 0.9


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a run reads, checked against one another."""

    tokenizer: Tokenizer
    train: TokenFile
    valid: TokenFile


def load_inputs(config: RunConfig) -> Inputs:
    """Open the `[data]` files. Raises: TinylmError or UsageError when they do not fit each other or the model."""
    tokenizer = Tokenizer.load(config.data.tokenizer)
    if len(tokenizer.vocab) > config.model.vocab_size:
        raise UsageError(
            f"{config.data.tokenizer}: has {len(tokenizer.vocab)} tokens, more than "
            f"model.vocab_size {config.model.vocab_size}; use --set model.vocab_size={len(tokenizer.vocab)}"
        )
    files = []
    for path in (config.data.train, config.data.valid):
        file = open_tokens(path)
        file.require_tokenizer(tokenizer.fingerprint)
        file.require_vocab_size(config.model.vocab_size)
        require_one_window(len(file.tokens), config.model.context_length)
        files.append(file)
    return Inputs(tokenizer, *files)


def train_run(
    config: RunConfig, path: str | Path, *, force: bool = False, should_stop: Callable[[], bool] = lambda: False
) -> Iterator[Report]:
    """Train in the run directory `path`, going on where an earlier invocation ended; the last record is an EndReport.

    `should_stop` is asked after every step; when it says yes, a checkpoint is saved and the run ends as `stopped`.
    A run that is already complete yields its EndReport at once. With `force` it starts over.

    Raises: TinylmError when inputs do not fit, another process writes this run, or no checkpoint is usable.
    """
    inputs = load_inputs(config)
    run = RunDirectory(path)
    with run.writer():
        run.adopt(config, force=force)
        ended = _earlier_end(run, config)
        if ended is not None:
            yield ended
            return
        inputs.tokenizer.save(run.tokenizer)
        yield from _Session(config, run, inputs).reports(should_stop)


def _earlier_end(run: RunDirectory, config: RunConfig) -> EndReport | None:
    summary = run.summary()
    if summary is None or summary["status"] == "stopped":
        return None
    if summary["status"] == "done" and not _long_enough(summary, config.train):
        return None
    fields = {field.name for field in dataclasses.fields(EndReport)}
    return EndReport(**{key: value for key, value in summary.items() if key in fields})


def _long_enough(summary: Mapping[str, Any], train: TrainConfig) -> bool:
    """Whether a complete run is as long as a configuration asks for."""
    if train.steps is not None:
        return bool(summary["steps"] >= train.steps)
    budgets = ("budget_seconds", "budget_h100_hours")
    return any((summary[key] or 0) >= (getattr(train, key) or math.inf) for key in budgets)


class _Session:
    """One invocation's work on a run."""

    def __init__(self, config: RunConfig, run: RunDirectory, inputs: Inputs) -> None:
        self.config = config
        self.run = run
        self.inputs = inputs
        self.execution = choose_execution(config.train)
        self.trainer = Trainer(config, inputs.train.tokens, inputs.valid.tokens, self.execution)
        self.flops_per_token = training_flops_per_token(ModelShape.of(config.model))
        self.peak_flops = self.execution.peak_flops()
        self.evaluation: EvaluationReport | None = None
        self.evaluation_clock = Clock()
        self.notes: list[str] = [*self.execution.notes, *self._budget_notes()]

    def reports(self, should_stop: Callable[[], bool]) -> Iterator[Report]:
        self._resume()
        write_json(self.run.path / "environment.json", describe_environment(self.execution.device))
        self.run.rewind_metrics(self.trainer.steps_done)
        yield self._start_report()
        with Tracker(self.run, self.config) as tracker:
            for report in self._train(should_stop):
                if isinstance(report, EndReport):
                    self.run.write_summary(dataclasses.asdict(report))
                elif isinstance(report, StepReport | EvaluationReport):
                    tracker.log(report)
                yield report

    def _train(self, should_stop: Callable[[], bool]) -> Iterator[Report]:
        train, trainer = self.config.train, self.trainer
        while trainer.fraction < 1:
            trainer.launch()
            step, last = trainer.steps_done, trainer.fraction >= 1
            stopping = should_stop() and not last
            evaluating = last or _due(step, train.eval_every)
            sampling = _due(step, train.sample_every)
            saving = last or stopping or _due(step, train.save_every)
            yield from trainer.read(leave=0 if evaluating or sampling or saving else self.execution.lag)
            if trainer.diverged:
                yield self._end("diverged")
                return
            if evaluating:
                yield self._evaluate(whole=last and train.final_eval == "full")
            if sampling:
                yield self._sample()
            if saving:
                yield self._save()
            if stopping:
                yield self._end("stopped")
                return
        yield self._end("done")

    def _resume(self) -> None:
        checkpoint, damaged = self.run.newest_checkpoint()
        self.notes += [f"skipped a damaged checkpoint: {problem}" for problem in damaged]
        if checkpoint is None:
            if damaged:
                raise TinylmError(f"{self.run.path}: no usable checkpoint ({'; '.join(damaged)}); --force starts over")
            return
        saved = read_state(checkpoint)
        if saved["data"] != self._data_fingerprint():
            raise UsageError(f"{self.run.path}: started on other data; choose another --out, or --force")
        step = load_checkpoint(checkpoint, self.trainer.model, self.trainer.optimizer)
        self.trainer.restore(step, saved["progress"])
        if self.trainer.fraction > 1:
            raise UsageError(f"{self.run.path}: already at step {step}, beyond train.steps {self.config.train.steps}")
        self.evaluation = EvaluationReport(**saved["evaluation"]) if saved["evaluation"] else None
        self.evaluation_clock = Clock(saved["evaluation_seconds"])
        self.notes.append(f"resumed from {checkpoint.name}")

    def _budget_notes(self) -> Iterator[str]:
        hours, seconds = self.config.train.budget_h100_hours, self.execution.budget_seconds(self.config.train)
        if hours is not None and seconds is not None:
            yield f"budget {hours:g} H100-hours: {seconds:,.0f} s here, {self.execution.in_h100s():.3g} of an H100"

    def _start_report(self) -> StartReport:
        return StartReport(
            step=self.trainer.steps_done,
            fraction=self.trainer.fraction,
            num_parameters=sum(parameter.numel() for parameter in self.trainer.model.parameters()),
            device=str(self.execution.device),
            precision=self.execution.precision,
            notes=tuple(self.notes),
        )

    def _evaluate(self, *, whole: bool) -> EvaluationReport:
        self.evaluation_clock.start()
        result = self.trainer.evaluate(whole=whole)
        self.evaluation_clock.stop()
        info = self.inputs.valid.info
        self.evaluation = EvaluationReport(
            step=self.trainer.steps_done,
            valid_loss=result.loss,
            valid_perplexity=perplexity(result.loss),
            bits_per_byte=bits_per_byte(result.loss, info.input_bytes / info.num_tokens) if info else None,
            valid_tokens=result.num_tokens,
        )
        return self.evaluation

    def _sample(self) -> SampleReport:
        tokenizer = self.inputs.tokenizer
        prompt = tokenizer.encode_ordinary(self.config.train.sample_prompt)[-self.config.model.context_length :]
        ids = generate(
            self.trainer.model,
            prompt,
            max_new_tokens=SAMPLE_TOKENS,
            temperature=SAMPLE_TEMPERATURE,
            top_p=SAMPLE_TOP_P,
            stop_token=end_of_text(tokenizer),
            seed=self.config.seed,
        )
        text = tokenizer.decode([*prompt, *ids])
        self.run.write_sample(self.trainer.steps_done, text)
        return SampleReport(self.trainer.steps_done, text)

    def _save(self) -> CheckpointReport:
        trainer = self.trainer
        extra: dict[str, Any] = {
            "progress": trainer.progress(),
            "data": self._data_fingerprint(),
            "evaluation": dataclasses.asdict(self.evaluation) if self.evaluation else None,
            "evaluation_seconds": self.evaluation_clock.seconds,
        }
        path = self.run.checkpoint(trainer.steps_done)
        save_checkpoint(trainer.model, trainer.optimizer, trainer.steps_done, path, extra=extra)
        self.run.prune_checkpoints(self.config.train.keep_checkpoints)
        return CheckpointReport(trainer.steps_done, path)

    def _data_fingerprint(self) -> dict[str, Any]:
        """Tells the training data apart from others': resuming on other data would not be the same run."""
        info = self.inputs.train.info
        return {"num_tokens": len(self.inputs.train.tokens), "sha256": info.sha256 if info else None}

    def _end(self, status: str) -> EndReport:
        trainer, evaluation = self.trainer, self.evaluation
        seconds = trainer.clock.seconds
        rate = trainer.tokens / seconds if seconds else 0.0
        return EndReport(
            status=status,
            steps=trainer.steps_done,
            tokens=trainer.tokens,
            train_loss=trainer.smoothed_loss if math.isfinite(trainer.smoothed_loss) else None,
            valid_loss=evaluation.valid_loss if evaluation else None,
            valid_perplexity=evaluation.valid_perplexity if evaluation else None,
            bits_per_byte=evaluation.bits_per_byte if evaluation else None,
            valid_tokens=evaluation.valid_tokens if evaluation else None,
            seconds=seconds,
            h100_hours=seconds / 3600 * self.execution.in_h100s(),
            budget_seconds=self.config.train.budget_seconds,
            budget_h100_hours=self.config.train.budget_h100_hours,
            evaluation_seconds=self.evaluation_clock.seconds,
            tokens_per_second=rate,
            mfu=self.flops_per_token * rate / self.peak_flops,
            run=str(self.run.path),
        )


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
