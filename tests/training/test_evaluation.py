"""Loss weighs tokens equally, and its derived figures follow their formulas."""

import math

import pytest
import torch

from tinylm.configs.run import TrainConfig
from tinylm.training.device import choose_execution
from tinylm.training.evaluation import Evaluation, bits_per_byte, evaluate, perplexity


class Recorder(torch.nn.Module):
    """Passes its input on and remembers the mode it ran in."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.mode_seen = self.training
        return x


def test_a_small_last_batch_weighs_by_its_tokens() -> None:
    """Two batches of 6 and 2 tokens with losses 1 and 5 average to 2, not 3."""
    batches = [(torch.ones(2, 3), torch.ones(2, 3)), (torch.full((1, 2), 5.0), torch.ones(1, 2))]
    execution = choose_execution(TrainConfig(device="cpu", precision="fp32"))
    assert evaluate(Recorder(), batches, lambda logits, _: logits.mean(), execution) == Evaluation(2.0, 8)


class OnAppleGPU:
    """A loss on a device without float64."""

    def cpu(self) -> torch.Tensor:
        return torch.tensor(1.5)

    def double(self) -> torch.Tensor:
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64.")


def test_loss_becomes_float64_on_the_host() -> None:
    """A device without float64 can evaluate."""
    execution = choose_execution(TrainConfig(device="cpu", precision="fp32"))
    batches = [(torch.ones(1, 4), torch.ones(1, 4))]
    assert evaluate(Recorder(), batches, lambda *_: OnAppleGPU(), execution) == Evaluation(1.5, 4)  # type: ignore[arg-type, return-value]


def test_model_is_in_evaluation_mode_and_returns_to_its_own() -> None:
    """Evaluation sets eval mode for the duration only."""
    model = Recorder().train()
    execution = choose_execution(TrainConfig(device="cpu", precision="fp32"))
    evaluate(model, [(torch.ones(1, 1), torch.ones(1, 1))], lambda logits, _: logits.mean(), execution)
    assert (model.mode_seen, model.training) == (False, True)


def test_perplexity_is_exp() -> None:
    """exp(loss), infinite beyond the range of a double."""
    assert perplexity(math.log(42)) == pytest.approx(42)
    assert perplexity(1e4) == math.inf


def test_bits_per_byte_of_a_uniform_byte_model_is_eight() -> None:
    """ln 256 nats for one-byte tokens are 8 bits a byte; with 4-byte tokens, 2."""
    assert bits_per_byte(math.log(256), 1.0) == pytest.approx(8)
    assert bits_per_byte(math.log(256), 4.0) == pytest.approx(2)
