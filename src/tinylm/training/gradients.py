"""A batch's mean loss and its gradients: in micro-batches, compiled where that works, in as much memory as there is."""

from collections.abc import Callable

import torch

from tinylm.errors import TinylmError
from tinylm.training.device import Execution
from tinylm.training.evaluation import LossFunction


class Gradients:
    """Computes the gradients of a model's loss, and finds a way when the first one fails.

    When the device runs out of memory, micro-batches become smaller; when compilation fails, it is done without. Either
    way the batch is begun anew, and `notes` has a line about it.
    """

    def __init__(
        self, model: torch.nn.Module, loss_function: LossFunction, execution: Execution, grad_accumulation: int
    ) -> None:
        self.execution = execution
        self.grad_accumulation = grad_accumulation
        self.notes: list[str] = []
        self._model = model
        self._eager = lambda inputs, targets: loss_function(model(inputs), targets)
        self._loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = self._eager
        if execution.compile:
            self._loss = torch.compile(self._eager)  # with the loss, so that logits are not written out in full first

    def compute(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean loss over all tokens, (); its gradients are left in the parameters."""
        while (loss := self._attempt(inputs, targets)) is None:
            self._model.zero_grad(set_to_none=True)
            if self.execution.device.type == "cuda":
                torch.cuda.empty_cache()
        return loss

    def _attempt(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor | None:
        try:
            return self._accumulate(inputs, targets)
        except torch.OutOfMemoryError:
            self._shrink_micro_batches(len(inputs))
        except RuntimeError as error:  # whatever a compiler raises is one; what is not its fault happens again without
            if self._loss is self._eager:
                raise
            self._give_up_compiling(error)
        return None

    def _accumulate(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Gradients summed micro-batch by micro-batch; equal parts, so that the mean of means is the mean."""
        parts = self.grad_accumulation
        total = torch.zeros((), device=inputs.device)
        for part_inputs, part_targets in zip(inputs.chunk(parts), targets.chunk(parts), strict=True):
            with self.execution.autocast():
                loss = self._loss(part_inputs, part_targets) / parts
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total

    def _shrink_micro_batches(self, batch_size: int) -> None:
        divisors = (n for n in range(self.grad_accumulation + 1, batch_size + 1) if batch_size % n == 0)
        parts = next(divisors, None)
        if parts is None:
            raise TinylmError(
                f"{self.execution.device}: out of memory with one sequence at a time; "
                "a smaller model or context needs less, `tinylm memory` says how much"
            )
        self.grad_accumulation = parts
        self.notes.append(
            f"out of memory: going on with micro-batches of {batch_size // parts}, "
            f"as train.grad_accumulation = {parts} would"
        )

    def _give_up_compiling(self, error: RuntimeError) -> None:
        self._loss = self._eager
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        self.notes.append(f"torch.compile failed, going on without: {reason}")
