"""The training step: batch, loss, gradients, clipping, schedule, update. Knows nothing of the disk."""

import math
import time

import torch

from tinylm.configs.run import RunConfig
from tinylm.data.batches import Batch, Tokens, sample_batch, validation_batches
from tinylm.model.build import build_loss, build_model
from tinylm.optim import clip_gradients
from tinylm.optim.build import build_optimizer
from tinylm.schedules import learning_rate
from tinylm.training.device import Execution
from tinylm.training.evaluation import mean_loss
from tinylm.training.reports import StepReport

SMOOTHING = 0.95
DIVERGENCE_PATIENCE = 50
"""Steps in a row that the smoothed loss may stay above twice a uniform guess's."""


class Trainer:
    """A model, its optimizer and how far they are; `step` moves them one update further."""

    def __init__(self, config: RunConfig, train_tokens: Tokens, valid_tokens: Tokens, execution: Execution) -> None:
        self.config = config
        self.train_tokens = train_tokens
        self.valid_tokens = valid_tokens
        self.execution = execution
        self.model = build_model(config.model, seed=config.seed, device=execution.device)
        self.optimizer = build_optimizer(config.optim, self.model)
        self.loss_function = build_loss(config.model)
        self.forward = torch.compile(self.model) if execution.compile else self.model
        self.steps_done = 0
        self.seconds = 0.0
        self.smoothed_loss = math.nan
        self.steps_above_bound = 0

    @property
    def tokens(self) -> int:
        """Tokens trained on so far."""
        return self.steps_done * self.tokens_per_step

    @property
    def tokens_per_step(self) -> int:
        """Tokens of one batch, over all micro-batches."""
        return self.config.train.batch_size * self.config.model.context_length

    def step(self) -> StepReport:
        """One optimizer step on the batch that belongs to it."""
        started = time.perf_counter()
        step = self.steps_done + 1
        lr = self._set_learning_rate(step)
        loss = self._accumulate_gradients(step)
        grad_norm = clip_gradients(self.model.parameters(), self.config.optim.max_grad_norm or math.inf)
        loss_value, norm_value = float(loss), float(grad_norm)
        if math.isfinite(loss_value) and math.isfinite(norm_value):
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.steps_done = step
        seconds = time.perf_counter() - started
        self.seconds += seconds
        self._smooth(loss_value)
        rate = self.tokens_per_step / seconds
        return StepReport(step, loss_value, lr, norm_value, self.tokens, self.seconds, rate)

    def diverged(self, report: StepReport) -> bool:
        """Whether loss or gradient is not finite, or the smoothed loss stays above twice a uniform guess's."""
        finite = math.isfinite(report.loss) and math.isfinite(report.grad_norm)
        return not finite or self.steps_above_bound >= DIVERGENCE_PATIENCE

    def evaluate(self) -> float:
        """Mean loss in nats per token on the validation tokens: the same windows every time."""
        train = self.config.train
        batches = validation_batches(
            self.valid_tokens,
            train.batch_size // train.grad_accumulation,
            self.config.model.context_length,
            num_batches=train.eval_batches * train.grad_accumulation,
            device=self.execution.device,
        )
        return mean_loss(self.forward, batches, self.loss_function, self.execution)

    def progress(self) -> dict[str, float | int | None]:
        """What a checkpoint must hold besides model and optimizer, as JSON data; see `restore`."""
        smoothed = self.smoothed_loss if math.isfinite(self.smoothed_loss) else None
        return {"seconds": self.seconds, "smoothed_loss": smoothed, "steps_above_bound": self.steps_above_bound}

    def restore(self, step: int, progress: dict[str, float | int | None]) -> None:
        """Go on after `step`, with what `progress` returned then."""
        self.steps_done = step
        self.seconds = float(progress["seconds"] or 0)
        self.smoothed_loss = math.nan if progress["smoothed_loss"] is None else progress["smoothed_loss"]
        self.steps_above_bound = int(progress["steps_above_bound"] or 0)

    def _set_learning_rate(self, step: int) -> float:
        peak = self.config.optim.lr
        lr = learning_rate(self.config.schedule, max_lr=peak, step=step, total_steps=self.config.train.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak_lr"] * (lr / peak)
        return lr

    def _accumulate_gradients(self, step: int) -> torch.Tensor:
        """Mean loss over the whole batch, its gradients summed micro-batch by micro-batch."""
        parts = self.config.train.grad_accumulation
        inputs, targets = self._batch(step)
        total = torch.zeros((), device=self.execution.device)
        for part_inputs, part_targets in zip(inputs.chunk(parts), targets.chunk(parts), strict=True):
            with self.execution.autocast():
                loss = self.loss_function(self.forward(part_inputs), part_targets) / parts
            loss.backward()
            total += loss.detach()
        return total

    def _batch(self, step: int) -> Batch:
        return sample_batch(
            self.train_tokens,
            self.config.train.batch_size,
            self.config.model.context_length,
            seed=self.config.seed,
            step=step,
            device=self.execution.device,
        )

    def _smooth(self, loss: float) -> None:
        first = math.isnan(self.smoothed_loss)
        self.smoothed_loss = loss if first else SMOOTHING * self.smoothed_loss + (1 - SMOOTHING) * loss
        above = self.smoothed_loss > 2 * math.log(self.config.model.vocab_size)
        self.steps_above_bound = self.steps_above_bound + 1 if above else 0
