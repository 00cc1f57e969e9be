"""Checkpoints: directories that appear whole or not at all, hold no pickle, and know when they are damaged.

A checkpoint holds `model.safetensors`, `optimizer.safetensors` (one tensor per parameter and state name),
`average.safetensors` where an average of the weights is kept, `state.json` (step, hyperparameters, scalar state,
versions, and whatever the loop adds) and `manifest.json` with the size and SHA-256 of each: safetensors itself would
load a flipped bit without a word.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

import tinylm
from tinylm.errors import TinylmError
from tinylm.files import atomic_directory, read_json, sha256, write_json

PathLike = str | Path
MANIFEST = "manifest.json"
WEIGHTS = "model.safetensors"
AVERAGE = "average.safetensors"


def save_checkpoint(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    path: PathLike,
    *,
    extra: Mapping[str, Any] | None = None,
    average: torch.nn.Module | None = None,
) -> None:
    """Write everything needed to go on after `step` to the directory `path`, atomically.

    `extra` is JSON data of the caller's, returned by `read_state`; `average` a model with averaged weights.
    Raises: TinylmError when the disk does not take it; nothing of it is left then.
    """
    tensors, scalars = _optimizer_state(model, optimizer)
    state = {
        "schema": 1,
        "step": step,
        "dtype": str(next(model.parameters()).dtype).removeprefix("torch."),
        "versions": {"tinylm": tinylm.__version__, "torch": torch.__version__},
        "rng": torch.get_rng_state().numpy().tobytes().hex(),
        "param_groups": [_without_parameters(group) for group in optimizer.param_groups],
        "optimizer_scalars": scalars,
        "extra": dict(extra or {}),
    }
    with _disk_errors(path), atomic_directory(path) as directory:
        safetensors.torch.save_model(model, str(directory / WEIGHTS))
        if average is not None:
            safetensors.torch.save_model(average, str(directory / AVERAGE))
        safetensors.torch.save_file(tensors, str(directory / "optimizer.safetensors"))
        write_json(directory / "state.json", state)
        write_json(directory / MANIFEST, {file.name: _fingerprint(file) for file in sorted(directory.iterdir())})


@contextlib.contextmanager
def _disk_errors(path: PathLike) -> Iterator[None]:
    """safetensors has its own kind of error, which says nothing of the place."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise TinylmError(f"{path}: not saved ({reason}); make room there and run the same command again") from error


def load_checkpoint(path: PathLike, model: torch.nn.Module, optimizer: torch.optim.Optimizer | None = None) -> int:
    """Restore `model` (and `optimizer`, and the CPU generator) from `path`; returns the step it was saved after.

    Raises: TinylmError when a file is missing, damaged, or does not fit the model.
    """
    path = Path(path)
    verify_checkpoint(path)
    _load_weights(path / WEIGHTS, model)
    state = read_json(path / "state.json")
    if optimizer is not None:
        tensors = safetensors.torch.load_file(str(path / "optimizer.safetensors"))
        _restore_optimizer(model, optimizer, tensors, state)
        torch.set_rng_state(torch.frombuffer(bytearray.fromhex(state["rng"]), dtype=torch.uint8))
    return int(state["step"])


def load_result(path: PathLike, model: torch.nn.Module) -> int:
    """Load into `model` the weights that the training was for: averaged ones where there are such; returns the step.

    Raises: TinylmError as `load_checkpoint` does.
    """
    path = Path(path)
    verify_checkpoint(path)
    _load_weights(result_file(path), model)
    return read_step(path)


def load_average(path: PathLike, model: torch.nn.Module) -> None:
    """Load the averaged weights of a checkpoint saved with such."""
    _load_weights(Path(path) / AVERAGE, model)


def result_file(path: PathLike) -> Path:
    """The file of the weights that `load_result` takes."""
    average = Path(path) / AVERAGE
    return average if average.is_file() else Path(path) / WEIGHTS


def _load_weights(file: Path, model: torch.nn.Module) -> None:
    try:
        safetensors.torch.load_model(model, str(file))
    except RuntimeError as error:
        raise TinylmError(f"{file.parent}: does not fit the model: {' '.join(str(error).split())}") from error


def read_state(path: PathLike) -> dict[str, Any]:
    """The `extra` data a checkpoint was saved with."""
    return dict(read_json(Path(path) / "state.json")["extra"])


def read_step(path: PathLike) -> int:
    """The step a checkpoint was saved after."""
    return int(read_json(Path(path) / "state.json")["step"])


def verify_checkpoint(path: PathLike) -> None:
    """Raises: TinylmError naming the file that is missing or differs from what was written."""
    path = Path(path)
    if not (path / MANIFEST).is_file():
        raise TinylmError(f"{path}: not a checkpoint (no {MANIFEST})")
    for name, expected in read_json(path / MANIFEST).items():
        if not (path / name).is_file():
            raise TinylmError(f"{path / name}: missing")
        if _fingerprint(path / name) != expected:
            raise TinylmError(f"{path / name}: damaged (size or SHA-256 differs from {MANIFEST})")


def newest_valid(directory: PathLike) -> tuple[Path | None, list[str]]:
    """The latest undamaged checkpoint below `directory`, and what is wrong with each later one."""
    damaged = []
    for path in sorted(Path(directory).glob("step-*"), reverse=True):
        try:
            verify_checkpoint(path)
        except TinylmError as error:
            damaged.append(str(error))
        else:
            return path, damaged
    return None, damaged


def checkpoint_name(step: int) -> str:
    """`step-00001000`: sorts as text in the order of steps."""
    return f"step-{step:08d}"


def _fingerprint(file: Path) -> dict[str, Any]:
    return {"bytes": file.stat().st_size, "sha256": sha256(file)}


def _without_parameters(group: Mapping[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in group.items() if key != "params"}
    json.dumps(plain)  # hyperparameters are plain data; anything else must fail here, not on resume
    return plain


def _parameter_names(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    """Names of the optimizer's parameters in the order of its state indices."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [names[id(parameter)] for group in optimizer.param_groups for parameter in group["params"]]


def _optimizer_state(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """State as `parameter name:state name` -> tensor, and the same for what is not a tensor."""
    tensors: dict[str, torch.Tensor] = {}
    scalars: dict[str, Any] = {}
    names = _parameter_names(model, optimizer)
    for index, values in optimizer.state_dict()["state"].items():
        for key, value in values.items():
            full_name = f"{names[index]}:{key}"
            if isinstance(value, torch.Tensor):
                tensors[full_name] = value
            else:
                scalars[full_name] = value
    return tensors, scalars


def _restore_optimizer(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    tensors: Mapping[str, torch.Tensor],
    state: Mapping[str, Any],
) -> None:
    indices = {name: index for index, name in enumerate(_parameter_names(model, optimizer))}
    per_parameter: dict[int, dict[str, Any]] = {}
    for full_name, value in (*tensors.items(), *state["optimizer_scalars"].items()):
        name, _, key = full_name.rpartition(":")
        per_parameter.setdefault(indices[name], {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    for group, saved in zip(groups, state["param_groups"], strict=True):
        group.update(saved)
    optimizer.load_state_dict({"state": per_parameter, "param_groups": groups})
