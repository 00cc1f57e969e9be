"""The peak memory of a training step, from what is always there and the moments when most is added to it."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace

from tinylm.accounting.activations import FP32, WIDTH, DeviceType, Precision
from tinylm.accounting.moments import Moments, Training
from tinylm.accounting.optimizers import optimizer_state_bytes
from tinylm.accounting.parameters import count_parameters
from tinylm.accounting.shape import ModelShape

LARGEST_BATCH = 2**31
WORKSPACE_BYTES: dict[DeviceType, int] = {"cpu": 0, "cuda": 2 * 32 * 2**20}
"""What cuBLAS and cuBLASLt take for themselves when they first multiply, through PyTorch's allocator."""


@dataclass(frozen=True)
class TrainingMemory:
    """What a training step needs at its peak, and of what that is made."""

    parameters_bytes: int
    gradients_bytes: int
    optimizer_bytes: int
    fixed_bytes: int
    """The three above: independent of the batch."""
    workspace_bytes: int
    """The matrix library's own."""
    activation_bytes_per_sample: int
    """One sequence's, kept from the forward pass, with the workspace of the loss."""
    total_bytes: int
    """The peak. It can be less than the sum: gradients appear while activations go."""
    peak_during: str
    """The moment of the peak."""


Estimate = Callable[[ModelShape, int, Training], TrainingMemory]


def training_memory(shape: ModelShape, batch_size: int, training: Training) -> TrainingMemory:
    """Peak of a step over `batch_size` sequences, all micro-batches together, without torch.compile."""
    moments = Moments(shape, batch_size, training).all()
    peak_during = max(moments, key=lambda moment: moments[moment])
    parameters, state = FP32 * count_parameters(shape).total, optimizer_state_bytes(shape, training.optimizer)
    return TrainingMemory(
        parameters_bytes=parameters,
        gradients_bytes=parameters,
        optimizer_bytes=state,
        fixed_bytes=2 * parameters + state,
        workspace_bytes=WORKSPACE_BYTES[training.device],
        activation_bytes_per_sample=activation_bytes_per_sample(shape, training),
        total_bytes=parameters + buffers_bytes(shape) + state + WORKSPACE_BYTES[training.device] + moments[peak_during],
        peak_during=peak_during,
    )


def activation_bytes_per_sample(shape: ModelShape, training: Training) -> int:
    """What one more sequence in the micro-batch adds at the moment of the loss."""
    alone = replace(training, grad_accumulation=1)
    three, two = (Moments(shape, batch_size, alone).all()["the loss"] for batch_size in (3, 2))
    return three - two


def buffers_bytes(shape: ModelShape) -> int:
    """The cosines and sines of RoPE."""
    return 2 * FP32 * shape.context_length * (shape.d_head // 2) if shape.position == "rope" else 0


def largest_batch(
    shape: ModelShape, memory_bytes: float, training: Training, estimate: Estimate = training_memory
) -> int:
    """Most sequences in a micro-batch whose step fits in `memory_bytes`; 0 when not even one does."""

    def too_many(size: int) -> bool:
        return estimate(shape, size * training.grad_accumulation, training).total_bytes > memory_bytes

    bound = 1
    while bound < LARGEST_BATCH and not too_many(bound):
        bound *= 2
    return bisect_left(range(1, bound), True, key=too_many)


def kv_cache_bytes(shape: ModelShape, precision: Precision = "fp32") -> int:
    """Keys and values of every layer for one sequence of the whole context, as sampling allocates them."""
    return 2 * shape.num_layers * shape.context_length * shape.d_model * WIDTH[precision]


def writeup_memory(shape: ModelShape, batch_size: int, training: Training) -> TrainingMemory:
    """The write-up's formula: 16 P, and 4 S [L (16 D + H S) + 2 D + 2 V] a sample, all of it at once.

    It has neither a d_ff nor a workspace, keeps one S x S matrix a head, and lets gradients and activations coincide.
    """
    exact = training_memory(shape, batch_size, training)
    length, width, heads = shape.context_length, shape.d_model, shape.num_heads
    blocks = shape.num_layers * (16 * width + heads * length)
    per_sample = FP32 * length * (blocks + 2 * width + 2 * shape.vocab_size)
    total = exact.fixed_bytes + batch_size // training.grad_accumulation * per_sample
    return replace(exact, activation_bytes_per_sample=per_sample, total_bytes=total, peak_during="all at once")
