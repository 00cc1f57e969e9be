"""Loss on held-out tokens, and what follows from it."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from tinylm.data.batches import Batch
from tinylm.training.device import Execution

LossFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well a model predicts some tokens."""

    loss: float
    """Mean in nats per token, each token weighing the same."""
    num_tokens: int


@torch.no_grad()
def evaluate(
    model: torch.nn.Module, batches: Iterable[Batch], loss_function: LossFunction, execution: Execution
) -> Evaluation:
    """The model on all targets of `batches`, in evaluation mode; accumulated in float64."""
    was_training = model.training
    model.eval()
    total, count = torch.zeros((), dtype=torch.float64), 0
    for inputs, targets in batches:
        with execution.autocast():
            loss = loss_function(model(inputs), targets)
        total += loss.cpu().double() * targets.numel()  # in this order: Apple's GPUs have no float64
        count += targets.numel()
    model.train(was_training)
    return Evaluation(float(total) / count, count)


def perplexity(loss: float) -> float:
    """exp(loss); infinite where that overflows."""
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf


def bits_per_byte(loss: float, bytes_per_token: float) -> float:
    """loss / ln 2 / bytes_per_token: what one byte of text costs, whatever the tokenizer."""
    return loss / math.log(2) / bytes_per_token
