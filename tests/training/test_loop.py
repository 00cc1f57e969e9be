"""The training step: accumulation, precision of the loss, divergence."""

from typing import Any

import numpy as np
import pytest
import torch

from tinylm.configs.loader import parse
from tinylm.configs.run import RunConfig
from tinylm.schedules import cosine
from tinylm.training.clock import Clock
from tinylm.training.device import choose_execution
from tinylm.training.loop import Trainer

TOKENS = np.random.default_rng(0).integers(0, 50, 2000).astype(np.uint16)
MODEL = {"vocab_size": 50, "context_length": 8, "d_model": 16, "num_layers": 2, "num_heads": 2, "d_ff": 32}


WIDE = {"vocab_size": 2000, "context_length": 128, "d_model": 128, "d_ff": 256, "num_layers": 3}
"""Enough work that a GPU spreads it over its cores."""
ALL_OPTIONS = {
    "feed_forward": "relu2",
    "qk_norm": True,
    "logit_softcap": 30.0,
    "embedding_norm": True,
    "value_embeddings": 1,
    "skip_connections": True,
    "tie_embeddings": True,
}


def trainer(**tables: dict[str, Any]) -> Trainer:
    """A trainer of a tiny model on random tokens, in float32; `tables` override parts of its configuration."""
    values: dict[str, Any] = {
        "data": {"train": "", "valid": "", "tokenizer": ""},
        "model": MODEL | tables.pop("model", {}),
        "schedule": {"warmup_steps": 2, "min_lr": 1e-4},
        "train": {"steps": 100, "batch_size": 8, "device": "cpu", "precision": "fp32"} | tables.pop("train", {}),
    }
    config = parse(RunConfig, values | tables, source="test")
    return Trainer(config, TOKENS, TOKENS[:500], choose_execution(config.train))


def losses(made: Trainer, steps: int) -> list[float]:
    """Losses of the first steps."""
    return [made.step().loss for _ in range(steps)]


def test_accumulation_is_the_mean_over_all_tokens() -> None:
    """One batch of 32 and 4 micro-batches of 8 give the same losses and weights up to rounding, over 20 steps."""
    whole, parts = trainer(train={"batch_size": 32}), trainer(train={"batch_size": 32, "grad_accumulation": 4})
    assert losses(whole, 20) == pytest.approx(losses(parts, 20), abs=1e-5)
    for one, two in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(one, two, atol=1e-4, rtol=0)


def test_fast_path_trains_as_the_readable_one() -> None:
    """Fused attention and loss give the written-out ones' losses within 1e-4 over 100 steps in float32."""
    fast, readable = trainer(), trainer(model={"attention": "manual"})
    assert losses(fast, 100) == pytest.approx(losses(readable, 100), abs=1e-4)


def test_same_seed_gives_the_same_bits() -> None:
    """Two trainers of one configuration agree bit for bit; another seed does not."""
    assert losses(trainer(), 5) == losses(trainer(), 5)
    assert losses(trainer(), 5) != losses(trainer(seed=7), 5)


def test_rate_follows_the_schedule() -> None:
    """Each report carries the rate of its step, and the optimizer used it."""
    made = trainer()
    for step in range(1, 6):
        report = made.step()
        assert report.lr == cosine(step, 2e-3, 1e-4, 2, 100)
        assert [group["lr"] for group in made.optimizer.param_groups] == [report.lr] * len(made.optimizer.param_groups)


def test_reports_count_tokens() -> None:
    """Tokens are steps x batch x context, whatever the micro-batches."""
    made = trainer(train={"grad_accumulation": 2})
    made.step()
    assert made.step().tokens == 2 * 8 * 8


def test_first_loss_is_about_a_uniform_guess() -> None:
    """An untrained tied model knows nothing: its loss is near ln(vocab_size) = 3.9."""
    assert trainer(model={"tie_embeddings": True}).step().loss == pytest.approx(np.log(50), abs=0.5)


def test_evaluation_is_the_mean_over_all_targets() -> None:
    """eval_batches = 0, or being asked for all, gives the exact mean loss of the file, window by window."""
    made = trainer(train={"eval_batches": 0})
    total = 0.0
    with torch.no_grad():
        for start in range(0, 499, 8):
            window = torch.from_numpy(TOKENS[start : min(start + 9, 500)].astype(np.int64))[None]
            logits = made.model(window[:, :-1])
            total += torch.nn.functional.cross_entropy(logits[0], window[0, 1:], reduction="sum").item()
    assert made.evaluate(made.model).loss == pytest.approx(total / 499, abs=1e-6)
    sampling = trainer(train={"eval_batches": 2})
    assert made.evaluate(made.model).num_tokens == sampling.evaluate(sampling.model, whole=True).num_tokens == 499
    assert sampling.evaluate(sampling.model).num_tokens == 2 * 8 * 8


def test_evaluation_changes_nothing() -> None:
    """Evaluating between steps leaves the following losses as they are."""
    plain, evaluated = trainer(), trainer()
    plain.step(), evaluated.step()
    evaluated.evaluate(evaluated.model)
    assert plain.step().loss == evaluated.step().loss


def test_non_finite_gradient_is_divergence_and_is_not_applied() -> None:
    """A NaN weight diverges at once, and the optimizer does not spread it to other weights."""
    made = trainer()
    made.step()
    with torch.no_grad():
        made.model.final_norm.weight[0] = torch.nan
    before = made.model.token_embedding.weight.clone()
    made.step()
    assert made.diverged
    assert torch.equal(made.model.token_embedding.weight, before)


def test_reading_late_changes_nothing() -> None:
    """Reports read one step behind the device are those read at once, and all come when all are asked for."""
    at_once, late = trainer(), trainer()
    expected = [at_once.step() for _ in range(4)]
    read = []
    for _ in range(4):
        late.launch()
        read += [list(late.read(leave=1))]
    read += [list(late.read())]
    assert [len(reports) for reports in read] == [0, 1, 1, 1, 1]
    assert [(r.step, r.loss, r.lr, r.grad_norm, r.tokens) for reports in read for r in reports] == [
        (r.step, r.loss, r.lr, r.grad_norm, r.tokens) for r in expected
    ]


def test_steps_launched_after_a_diverged_one_are_forgotten() -> None:
    """When the figures of a bad step arrive late, the run ends at that step."""
    made = trainer()
    made.step()
    with torch.no_grad():
        made.model.final_norm.weight[0] = torch.nan
    made.launch(), made.launch()
    assert [report.step for report in made.read()] == [2]
    assert (made.diverged, made.steps_done) == (True, 2)


def test_a_budget_drives_the_rate() -> None:
    """On a budget the rate is that of the share used when the step ends, and exactly the minimum in the last."""
    made = trainer(train={"steps": None, "budget_seconds": 10.0}, schedule={"warmup_fraction": 0.2, "min_lr": 1e-4})
    made.clock = Ticking(made, 1.0)
    reports = []
    while made.fraction < 1:
        reports.append(made.step())
    assert [report.fraction for report in reports] == pytest.approx([0, 0.1, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    assert [report.lr for report in reports] == [cosine(r.fraction, 2e-3, 1e-4, 0.2, 1) for r in reports]
    assert reports[-1].lr == 1e-4


class Ticking(Clock):
    """A clock by which every step of a trainer takes the same time."""

    def __init__(self, made: Trainer, step_seconds: float) -> None:
        super().__init__()
        self.made, self.step_seconds = made, step_seconds

    @property
    def seconds(self) -> float:
        return self.made.steps_done * self.step_seconds


def test_update_ratio_is_measured_when_it_is_due() -> None:
    """Every third step says how far the weights moved, the others nothing; measuring changes no loss."""
    plain, measured = trainer(), trainer(train={"update_ratio_every": 3})
    expected = [plain.step().loss for _ in range(2)]
    before = [parameter.detach().clone() for parameter in plain.model.parameters()]
    expected.append(plain.step().loss)
    after = [parameter.detach() for parameter in plain.model.parameters()]
    change = sum((new - old).square().sum() for new, old in zip(after, before, strict=True))
    size = sum(old.square().sum() for old in before)
    reports = [measured.step() for _ in range(3)]
    assert [report.loss for report in reports] == expected
    assert [report.update_ratio for report in reports[:2]] == [None, None]
    assert reports[2].update_ratio == pytest.approx(float((change / size) ** 0.5), rel=1e-5)


def test_the_average_is_the_result() -> None:
    """With ema_decay the weights to use are the averaged ones; the training itself goes on as without."""
    plain, averaged = trainer(), trainer(train={"ema_decay": 0.5})
    assert losses(plain, 3) == losses(averaged, 3)
    assert plain.result is plain.model
    assert averaged.result is not averaged.model
    assert not torch.equal(averaged.result.lm_head.weight, averaged.model.lm_head.weight)


def test_a_step_that_diverges_stays_out_of_the_average() -> None:
    """A gradient that is not finite leaves the averaged weights as they were."""
    made = trainer(train={"ema_decay": 0.5})
    made.step()
    with torch.no_grad():
        made.model.final_norm.weight[0] = torch.nan
    made.step()
    assert made.diverged
    assert torch.isfinite(made.result.final_norm.weight).all()


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # the compiler's own
@pytest.mark.parametrize("options", [{}, {"attention": "manual"}, ALL_OPTIONS], ids=["fused", "manual", "all options"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("compile", ["off", "on"])
def test_gpu_repeats_to_the_bit(compile: str, precision: str, options: dict[str, Any]) -> None:
    """Two trainers of one configuration have the same weights after ten steps, by AdamW and by Muon."""
    train = {"device": "cuda", "compile": compile, "precision": precision, "batch_size": 64}
    for kind in ("adamw", "muon"):
        one, two = (trainer(model=WIDE | options, train=train, optim={"kind": kind}) for _ in range(2))
        assert losses(one, 10) == losses(two, 10)
        assert one.gradients.notes == []
        for first, second in zip(one.model.parameters(), two.model.parameters(), strict=True):
            assert torch.equal(first, second)


@pytest.mark.gpu
def test_gpu_trains_as_the_cpu() -> None:
    """Twenty steps in fp32 on a GPU, read a step late, have the losses of the CPU's."""
    on_gpu = trainer(train={"device": "cuda", "compile": "off"})
    reports = []
    for _ in range(20):
        on_gpu.launch()
        reports += list(on_gpu.read(leave=on_gpu.execution.lag))
    reports += list(on_gpu.read())
    assert [report.step for report in reports] == list(range(1, 21))
    assert [report.loss for report in reports] == pytest.approx(losses(trainer(), 20), abs=1e-3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # the compiler's own
def test_compiled_trains_as_eager() -> None:
    """Compiled model and loss give the losses of the others within 1e-4 over 20 steps, in two micro-batches."""
    parts: dict[str, Any] = {"grad_accumulation": 2}
    compiled, eager = trainer(train=parts | {"compile": "on"}), trainer(train=parts)
    assert losses(compiled, 20) == pytest.approx(losses(eager, 20), abs=1e-4)
    assert compiled.gradients.notes == []
