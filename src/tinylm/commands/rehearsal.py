"""A training step without a run: on tensors that occupy nothing, or for real on made-up tokens."""

import math
from dataclasses import asdict
from typing import TYPE_CHECKING

from tinylm.accounting.moments import Training
from tinylm.accounting.shape import ModelShape
from tinylm.commands.torch_environment import prepare_torch_environment
from tinylm.errors import TinylmError

if TYPE_CHECKING:
    from tinylm.configs.run import RunConfig


def traced_bytes(shape: ModelShape, batch_size: int, training: Training) -> int:
    """Peak of a step on tensors without storage: exact, allocating nothing, for any size of model."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    from tinylm.accounting.tracing import traced_peak_bytes, without_storage
    from tinylm.model.build import build_loss, build_model
    from tinylm.optim import clip_gradients
    from tinylm.optim.build import build_optimizer

    config = run_config(shape, batch_size, training)
    model, loss_function = build_model(config.model, device="meta"), build_loss(config.model)
    matmul_dtype = torch.bfloat16 if training.precision == "bf16" else torch.float32
    mode = FakeTensorMode()
    without_storage(model, mode)
    with mode:
        optimizer = build_optimizer(config.optim, model, matmul_dtype=matmul_dtype)
        token_ids = torch.empty(batch_size, shape.context_length, dtype=torch.long)
        targets = torch.empty_like(token_ids)
        parts = training.grad_accumulation

        def step() -> None:
            for inputs_part, targets_part in zip(token_ids.chunk(parts), targets.chunk(parts), strict=True):
                with torch.autocast("cpu", torch.bfloat16, enabled=training.precision == "bf16"):
                    loss = loss_function(model(inputs_part), targets_part) / parts
                loss.backward()  # type: ignore[no-untyped-call]  # torch's
            clip_gradients(model.parameters(), config.optim.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        return traced_peak_bytes(step, [*model.parameters(), *model.buffers(), token_ids, targets])


def measured_bytes(shape: ModelShape, batch_size: int, training: Training) -> int:
    """Peak of the second step of a real training on this machine's fastest device.

    Raises: TinylmError when the device is short of memory, so that the step went on in smaller micro-batches, and when
    the first step's gradient is not finite, for then the optimizer has no state yet.
    """
    prepare_torch_environment()
    import numpy as np

    from tinylm.accounting.tracing import allocated_peak_bytes
    from tinylm.training.device import choose_execution
    from tinylm.training.loop import Trainer

    config = run_config(shape, batch_size, training)
    execution = choose_execution(config.train)
    tokens = np.arange(2 * shape.context_length, dtype=np.uint32) % shape.vocab_size
    trainer = Trainer(config, tokens, tokens, execution)
    if not math.isfinite(trainer.step().grad_norm):
        raise TinylmError("this model's first gradient is not finite, so there is no whole step to measure")
    if trainer.gradients.grad_accumulation != training.grad_accumulation:
        raise TinylmError(
            f"the device is short of memory, so there is no such step to measure: {trainer.gradients.notes[0]}"
        )
    state = [tensor for tensors in trainer.optimizer.state.values() for tensor in tensors.values()]
    held = [*trainer.model.parameters(), *trainer.model.buffers(), *state]
    return allocated_peak_bytes(trainer.step, execution.device, held)


def run_config(shape: ModelShape, batch_size: int, training: Training) -> "RunConfig":
    """The configuration of such a run, with defaults for what memory does not depend on."""
    from tinylm.configs.run import RunConfig

    train = {
        "batch_size": batch_size,
        "grad_accumulation": training.grad_accumulation,
        "precision": training.precision,
        "compile": "off",
    }
    data = {"train": "", "valid": "", "tokenizer": ""}
    optim = {"kind": training.optimizer}
    return RunConfig.model_validate({"data": data, "model": asdict(shape), "optim": optim, "train": train})
