"""The training step: batch, loss, gradients, clipping, schedule, update. Knows nothing of the disk."""

import math
from collections import deque
from collections.abc import Iterator

import torch

from tinylm.configs.run import RunConfig
from tinylm.data.batches import Batch, Tokens, sample_batch, validation_batches
from tinylm.model.build import build_loss, build_model
from tinylm.optim import clip_gradients
from tinylm.optim.build import build_optimizer
from tinylm.training.clock import Clock
from tinylm.training.device import Execution
from tinylm.training.evaluation import Evaluation, evaluate
from tinylm.training.launched import Launched
from tinylm.training.length import Length
from tinylm.training.reports import StepReport

SMOOTHING = 0.95
DIVERGENCE_PATIENCE = 50
"""Steps in a row that the smoothed loss may stay above twice a uniform guess's."""


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
        self.model = build_model(config.model, seed=config.seed, device=execution.device)
        self.optimizer = build_optimizer(config.optim, self.model)
        self.loss_function = build_loss(config.model)
        self.forward: torch.nn.Module = torch.compile(self.model) if execution.compile else self.model  # type: ignore[assignment]
        self.length = Length(steps=config.train.steps, seconds=execution.budget_seconds(config.train))
        self.clock = Clock()
        self.steps_done = 0
        self.fraction = 0.0
        """Share of the run that lies behind, 1 when it is over."""
        self.diverged = False
        self.smoothed_loss = math.nan
        self.steps_above_bound = 0
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
        loss = self._accumulate_gradients(step)
        grad_norm = clip_gradients(self.model.parameters(), self.config.optim.max_grad_norm or math.inf)
        figures = torch.stack((loss, grad_norm))
        if self.execution.lag or figures.isfinite().all():
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.steps_done = step
        self._launched.append(Launched.now(step, lr=lr, fraction=self.fraction, figures=figures))

    def read(self, *, leave: int = 0) -> Iterator[StepReport]:
        """Reports of the launched steps, oldest first, but for the newest `leave`; none after one that diverged."""
        while len(self._launched) > leave:
            yield self._report(self._launched.popleft())

    def evaluate(self, *, whole: bool = False) -> Evaluation:
        """The model on `eval_batches` batches of the validation tokens, the same every time, or on all of them.

        Not compiled, so that whoever evaluates the checkpoint later gets the same figure.
        """
        train = self.config.train
        batches = validation_batches(
            self.valid_tokens,
            train.batch_size // train.grad_accumulation,
            self.config.model.context_length,
            num_batches=0 if whole else train.eval_batches * train.grad_accumulation,
            device=self.execution.device,
        )
        return evaluate(self.model, batches, self.loss_function, self.execution)

    def progress(self) -> dict[str, float | int | None]:
        """What a checkpoint must hold besides model and optimizer, as JSON data; see `restore`."""
        return {
            "seconds": self.clock.seconds,
            "step_seconds": self.length.step_seconds,
            "smoothed_loss": self.smoothed_loss if math.isfinite(self.smoothed_loss) else None,
            "steps_above_bound": self.steps_above_bound,
        }

    def restore(self, step: int, progress: dict[str, float | int | None]) -> None:
        """Go on after `step`, with what `progress` returned then."""
        self.steps_done = step
        self._seconds_of_last_report = float(progress["seconds"] or 0)
        self.clock = Clock(self._seconds_of_last_report)
        self.length.step_seconds = float(progress["step_seconds"] or 0)
        self.fraction = self.length.behind(step, self.clock.seconds)
        self.smoothed_loss = math.nan if progress["smoothed_loss"] is None else progress["smoothed_loss"]
        self.steps_above_bound = int(progress["steps_above_bound"] or 0)

    def _set_learning_rate(self, step: int) -> float:
        peak = self.config.optim.lr
        lr = self.length.learning_rate(self.config.schedule, peak, step, self.fraction)
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
            loss.backward()  # type: ignore[no-untyped-call]
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

    def _report(self, launched: Launched) -> StepReport:
        loss, grad_norm = launched.wait()
        self._smooth(loss)
        self.diverged = not math.isfinite(loss + grad_norm) or self.steps_above_bound >= DIVERGENCE_PATIENCE
        if self.diverged:
            self._launched.clear()
            self.steps_done = launched.step
        seconds = self.clock.seconds
        if not self._launched:
            self.clock.stop()
        took = seconds - self._seconds_of_last_report
        self._seconds_of_last_report = seconds
        self.length.took(took)
        return StepReport(
            step=launched.step,
            loss=loss,
            lr=launched.lr,
            grad_norm=grad_norm,
            tokens=launched.step * self.tokens_per_step,
            seconds=seconds,
            tokens_per_second=self.tokens_per_step / took,
            fraction=launched.fraction,
        )

    def _smooth(self, loss: float) -> None:
        first = math.isnan(self.smoothed_loss)
        self.smoothed_loss = loss if first else SMOOTHING * self.smoothed_loss + (1 - SMOOTHING) * loss
        above = self.smoothed_loss > 2 * math.log(self.config.model.vocab_size)
        self.steps_above_bound = self.steps_above_bound + 1 if above else 0
