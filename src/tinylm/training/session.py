"""One invocation's work on a run: steps, evaluations, samples, checkpoints, and taking up where the last one ended."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from tinylm.accounting.flops import training_flops, training_flops_per_token
from tinylm.accounting.shape import ModelShape
from tinylm.configs.run import RunConfig
from tinylm.files import write_json
from tinylm.sampling import generate
from tinylm.training.checkpoint import load_average, load_checkpoint, read_state, save_checkpoint
from tinylm.training.clock import Clock
from tinylm.training.cores import core_notes
from tinylm.training.decision import Resume
from tinylm.training.device import Execution
from tinylm.training.environment import describe_environment
from tinylm.training.evaluation import bits_per_byte, perplexity
from tinylm.training.inputs import Inputs, final_eval_batches
from tinylm.training.instruments import peak_memory_bytes
from tinylm.training.loop import Trainer
from tinylm.training.memory import needed_bytes
from tinylm.training.profiling import StepProfile
from tinylm.training.reports import (
    CheckpointReport,
    EndReport,
    EvaluationReport,
    NoteReport,
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


class Session:
    """A trainer with its run directory."""

    def __init__(
        self, config: RunConfig, run: RunDirectory, inputs: Inputs, execution: Execution, profile_steps: int = 0
    ) -> None:
        self.config = config
        self.run = run
        self.inputs = inputs
        self.execution = execution
        self.trainer = Trainer(config, inputs.train.tokens, inputs.valid.tokens, execution)
        self.peak_tokens_per_second = execution.peak_flops() / training_flops_per_token(ModelShape.of(config.model))
        self.profile = StepProfile(profile_steps, run.trace_file, execution.device)
        self.evaluation: EvaluationReport | None = None
        self.evaluated_on: dict[str, Any] = {}
        """What the last evaluation was made on."""
        self.evaluation_clock = Clock()
        self.notes = [*execution.notes, *self._budget_notes(), *core_notes(execution)]

    def resume(self, decision: Resume) -> None:
        """Take up the work at a checkpoint."""
        self.notes += [f"skipped a damaged checkpoint: {problem}" for problem in decision.damaged]
        saved = read_state(decision.checkpoint)
        step = load_checkpoint(decision.checkpoint, self.trainer.model, self.trainer.optimizer)
        if self.trainer.average:
            load_average(decision.checkpoint, self.trainer.average.model)
        self.trainer.restore(step, saved["progress"])
        self.evaluation = EvaluationReport(**saved["evaluation"]) if saved["evaluation"] else None
        self.evaluated_on = saved.get("evaluated_on", self.inputs.final_evaluation(self.config.train))
        self.evaluation_clock = Clock(saved["evaluation_seconds"])
        self.notes.append(f"resumed from {decision.checkpoint.name}")

    def reports(self, should_stop: Callable[[], bool]) -> Iterator[Report]:
        """Everything from the StartReport to the EndReport."""
        write_json(self.run.environment_file, describe_environment(self.execution))
        self.run.rewind_metrics(self.trainer.steps_done)
        yield self._start_report()
        with Tracker(self.run, self.config) as tracker, contextlib.closing(self.profile):
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
            yield from self._observe(last=last or stopping)
            if trainer.diverged:
                yield self._end("diverged")
                return
            if evaluating:
                yield self._evaluate(final_eval_batches(train) if last else train.eval_batches)
            if sampling:
                yield self._sample()
            if saving:
                yield self._save()
            if stopping:
                yield self._end("stopped")
                return
        if not self._has_final_evaluation():
            yield self._evaluate(final_eval_batches(train))
            yield self._save()
        yield self._end("done")

    def _has_final_evaluation(self) -> bool:
        """It is missing where a run is found complete that was stopped, or is now to be evaluated in another way."""
        at_end = self.evaluation is not None and self.evaluation.step == self.trainer.steps_done
        return at_end and self.evaluated_on == self.inputs.final_evaluation(self.config.train)

    def _observe(self, *, last: bool) -> Iterator[Report]:
        """What the step that was just launched gave to note, and the profile when it was the last of one or of all."""
        notes, self.trainer.gradients.notes = self.trainer.gradients.notes, []
        yield from (NoteReport(self.trainer.steps_done, note) for note in notes)
        yield from self.profile.step_done(self.trainer.steps_done, last=last)

    def _budget_notes(self) -> Iterator[str]:
        hours, seconds = self.config.train.budget_h100_hours, self.execution.budget_seconds(self.config.train)
        if hours is not None and seconds is not None:
            yield f"budget {hours:g} H100-hours: {seconds:,.0f} s here, {self.execution.in_h100s():.3g} of an H100"

    def _start_report(self) -> StartReport:
        return StartReport(
            step=self.trainer.steps_done,
            fraction=self.trainer.fraction,
            num_parameters=sum(parameter.numel() for parameter in self.trainer.model.parameters()),
            flops_per_step=training_flops(ModelShape.of(self.config.model), self.config.train.batch_size),
            memory_bytes=needed_bytes(self.config, self.execution, self.config.train.grad_accumulation),
            device=str(self.execution.device),
            precision=self.execution.precision,
            peak_tokens_per_second=self.peak_tokens_per_second,
            notes=tuple(self.notes),
        )

    def _evaluate(self, num_batches: int) -> EvaluationReport:
        trainer, info = self.trainer, self.inputs.valid.info
        whole = num_batches == 0
        self.evaluation_clock.start()
        result = trainer.evaluate(trainer.result, whole=whole)
        last = trainer.evaluate(trainer.model, whole=whole).loss if trainer.average else None
        self.evaluation_clock.stop()
        self.evaluated_on = self.inputs.evaluation(num_batches)
        self.evaluation = EvaluationReport(
            step=trainer.steps_done,
            valid_loss=result.loss,
            valid_perplexity=perplexity(result.loss),
            bits_per_byte=bits_per_byte(result.loss, info.input_bytes / info.num_tokens) if info else None,
            valid_tokens=result.num_tokens,
            last_valid_loss=last,
        )
        return self.evaluation

    def _sample(self) -> SampleReport:
        tokenizer = self.inputs.tokenizer
        prompt = tokenizer.encode_ordinary(self.config.train.sample_prompt)[-self.config.model.context_length :]
        ids = generate(
            self.trainer.result,
            prompt,
            max_new_tokens=SAMPLE_TOKENS,
            temperature=SAMPLE_TEMPERATURE,
            top_p=SAMPLE_TOP_P,
            stop_token=end_of_text(tokenizer),
            tokens=tokenizer.vocab,
            seed=self.config.seed,
        )
        text = tokenizer.decode([*prompt, *ids])
        self.run.write_sample(self.trainer.steps_done, text)
        return SampleReport(self.trainer.steps_done, text)

    def _save(self) -> CheckpointReport:
        trainer = self.trainer
        extra: dict[str, Any] = {
            "progress": trainer.progress(),
            "data": self.inputs.train_content(),
            "evaluation": dataclasses.asdict(self.evaluation) if self.evaluation else None,
            "evaluated_on": self.evaluated_on,
            "evaluation_seconds": self.evaluation_clock.seconds,
        }
        path = self.run.checkpoint(trainer.steps_done)
        average = trainer.average.model if trainer.average else None
        save_checkpoint(trainer.model, trainer.optimizer, trainer.steps_done, path, extra=extra, average=average)
        self.run.prune_checkpoints(trainer.steps_done, self.config.train.keep_checkpoints)
        return CheckpointReport(trainer.steps_done, path)

    def _end(self, status: str) -> EndReport:
        trainer, evaluation = self.trainer, self.evaluation
        seconds = trainer.clock.seconds
        rate = trainer.tokens / seconds if seconds else 0.0
        return EndReport(
            status=status,
            steps=trainer.steps_done,
            tokens=trainer.tokens,
            train_loss=trainer.watch.finite_loss,
            valid_loss=evaluation.valid_loss if evaluation else None,
            valid_perplexity=evaluation.valid_perplexity if evaluation else None,
            bits_per_byte=evaluation.bits_per_byte if evaluation else None,
            valid_tokens=evaluation.valid_tokens if evaluation else None,
            last_valid_loss=evaluation.last_valid_loss if evaluation else None,
            seconds=seconds,
            h100_hours=seconds / 3600 * self.execution.in_h100s(),
            budget_seconds=self.config.train.budget_seconds,
            budget_h100_hours=self.config.train.budget_h100_hours,
            evaluation_seconds=self.evaluation_clock.seconds,
            tokens_per_second=rate,
            memory_bytes=peak_memory_bytes(self.execution.device),
            mfu=rate / self.peak_tokens_per_second,
            run=str(self.run.path),
        )


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
