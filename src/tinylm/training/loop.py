"""The training step: batch, loss, gradients, clipping, schedule, update. Knows nothing of the disk."""

import math
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import torch

from tinylm.configs.run import RunConfig
from tinylm.data.batches import Batch, Tokens, sample_batch, validation_batches
from tinylm.model import TransformerLM
from tinylm.model.build import build_loss, build_model
from tinylm.optim import clip_gradients
from tinylm.optim.build import build_optimizer
from tinylm.training.averaging import WeightAverage
from tinylm.training.clock import Clock
from tinylm.training.device import Execution
from tinylm.training.divergence import LossWatch
from tinylm.training.evaluation import Evaluation, evaluate
from tinylm.training.gradients import Gradients
from tinylm.training.instruments import UpdateRatio, peak_memory_bytes
from tinylm.training.launched import Launched
from tinylm.training.length import Length, asked_length
from tinylm.training.prefetch import PrefetchedBatches
from tinylm.training.reports import StepReport


class Trainer:
    """A model, its optimizer and how far they are.

    `launch` hands the device the next update, and `read` waits for its figures: on a GPU, which computes while the host
    prepares the following step, a little later. `step` does one after the other.
    """

    def __init__(self, config: RunConfig, train_tokens: Tokens, valid_tokens: Tokens, execution: Execution) -> None:
        self.config = config
        self.train_tokens = train_tokens
        self.valid_tokens = valid_tokens
        self.execution = execution
        execution.prepare()
        self.model = build_model(config.model, seed=config.seed, device=execution.device)
        self.optimizer = build_optimizer(config.optim, self.model, matmul_dtype=execution.dtype)
        self.loss_function = build_loss(config.model)
        self.gradients = Gradients(self.model, self.loss_function, execution, config.train.grad_accumulation)
        self.average = WeightAverage(self.model, config.train.ema_decay) if config.train.ema_decay else None
        self.length = Length(steps=config.train.steps, seconds=execution.budget_seconds(config.train))
        self.clock = Clock()
        self.steps_done = 0
        self.fraction = 0.0
        """Share of the run that lies behind, 1 when it is over."""
        self.diverged = False
        self.watch = LossWatch(config.model.vocab_size)
        self._batch_of = PrefetchedBatches(self._batch, execution.device) if execution.lag else self._batch
        self._launched: deque[Launched] = deque()
        self._seconds_of_last_report = 0.0

    @property
    def tokens(self) -> int:
        """Tokens trained on so far."""
        return self.steps_done * self.tokens_per_step

    @property
    def tokens_per_step(self) -> int:
        """Tokens of one batch, over all micro-batches."""
        return self.config.train.batch_size * self.config.model.context_length

    @property
    def result(self) -> TransformerLM:
        """What the training is for: the model with the averaged weights where an average is kept, else the model."""
        return self.average.model if self.average else self.model

    def step(self) -> StepReport:
        """One optimizer step on the batch that belongs to it."""
        self.launch()
        return list(self.read())[-1]

    def launch(self) -> None:
        """Start the next optimizer step; where the device computes by itself, it is not waited for."""
        self.clock.start()
        step = self.steps_done + 1
        self.fraction = self.length.ahead(step, self.clock.seconds, unfinished=len(self._launched))
        lr = self._set_learning_rate(step)
        waiting = time.perf_counter()
        inputs, targets = self._batch_of(step)
        data_seconds = time.perf_counter() - waiting
        with self.execution.repeatable():
            loss = self.gradients.compute(inputs, targets)
            grad_norm = clip_gradients(self.model.parameters(), self.config.optim.max_grad_norm or math.inf)
            figures = self._update(step, torch.stack((loss, grad_norm)))
        self.optimizer.zero_grad(set_to_none=True)
        self.steps_done = step
        self._launched.append(Launched.now(step, lr, self.fraction, data_seconds, figures))

    def read(self, *, leave: int = 0) -> Iterator[StepReport]:
        """Reports of the launched steps, oldest first, but for the newest `leave`; none after one that diverged."""
        while len(self._launched) > leave:
            yield self._report(self._launched.popleft())

    def evaluate(self, model: torch.nn.Module, *, whole: bool = False) -> Evaluation:
        """A model on `eval_batches` batches of the validation tokens, the same every time, or on all of them.

        Not compiled, so that whoever evaluates the checkpoint later gets the same figure.
        """
        train = self.config.train
        batches = validation_batches(
            self.valid_tokens,
            train.batch_size // self.gradients.grad_accumulation,
            self.config.model.context_length,
            num_batches=0 if whole else train.eval_batches * self.gradients.grad_accumulation,
            device=self.execution.device,
        )
        return evaluate(model, batches, self.loss_function, self.execution)

    def progress(self) -> dict[str, Any]:
        """What a checkpoint must hold besides weights and optimizer, as JSON data; see `restore`."""
        return {
            "seconds": self.clock.seconds,
            "step_seconds": self.length.step_seconds,
            "watch": self.watch.state(),
            "complete": asked_length(self.config.train) if self.fraction >= 1 else None,
        }

    def restore(self, step: int, progress: dict[str, Any]) -> None:
        """Go on after `step`, with what `progress` returned then.

        What was complete stays so, unless it is to be longer now, though a last step that took less time than expected
        leaves room in a budget.
        """
        self.steps_done = step
        self.clock = Clock(progress["seconds"])
        self._seconds_of_last_report = self.clock.seconds
        self.length.step_seconds = progress["step_seconds"]
        complete = progress.get("complete") == asked_length(self.config.train)
        self.fraction = 1.0 if complete else self.length.behind(step, self.clock.seconds)
        self.watch = LossWatch(self.config.model.vocab_size, **progress["watch"])

    def _set_learning_rate(self, step: int) -> float:
        peak = self.config.optim.lr
        lr = self.length.learning_rate(self.config.schedule, peak, step, self.fraction)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak_lr"] * (lr / peak)
        return lr

    def _update(self, step: int, figures: torch.Tensor) -> torch.Tensor:
        """Move the weights, unless loss or norm are known not to be finite; `figures` and the update ratio when due."""
        if not self.execution.lag and not figures.isfinite().all():
            return figures
        every = self.config.train.update_ratio_every
        ratio = UpdateRatio(list(self.model.parameters())) if every and step % every == 0 else None
        self.optimizer.step()
        if self.average:
            self.average.update(self.model, step)
        return torch.cat((figures, ratio.measure()[None])) if ratio else figures

    def _batch(self, step: int) -> Batch:
        return sample_batch(
            self.train_tokens,
            self.config.train.batch_size,
            self.config.model.context_length,
            seed=self.config.seed,
            step=step,
            device="cpu" if self.execution.lag else self.execution.device,
        )

    def _report(self, launched: Launched) -> StepReport:
        loss, grad_norm, *update_ratio = launched.wait()
        self.diverged = self.watch.diverges(loss, grad_norm)
        if self.diverged:
            self._launched.clear()
            self.steps_done = launched.step
        took = self._time_since_last_report()
        self.length.took(took)
        return StepReport(
            step=launched.step,
            loss=loss,
            lr=launched.lr,
            grad_norm=grad_norm,
            tokens=launched.step * self.tokens_per_step,
            seconds=self._seconds_of_last_report,
            tokens_per_second=self.tokens_per_step / took,
            fraction=launched.fraction,
            data_seconds=launched.data_seconds,
            memory_bytes=peak_memory_bytes(self.execution.device),
            update_ratio=update_ratio[0] if update_ratio else None,
        )

    def _time_since_last_report(self) -> float:
        """In seconds; the clock stops when nothing is left to wait for."""
        if not self._launched:
            self.clock.stop()
        before, self._seconds_of_last_report = self._seconds_of_last_report, self.clock.seconds
        return self._seconds_of_last_report - before
