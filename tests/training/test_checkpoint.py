"""Checkpoints restore everything, appear whole or not at all, and know when they are damaged."""

from pathlib import Path

import pytest
import torch

from tinylm.errors import TinylmError
from tinylm.optim import AdamW
from tinylm.training import load_checkpoint, save_checkpoint
from tinylm.training.checkpoint import checkpoint_name, newest_valid, read_state, verify_checkpoint


def model_and_optimizer(kind: type[torch.optim.Optimizer], seed: int) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """A small model after three updates."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    optimizer = kind(model.parameters(), lr=1e-2)  # type: ignore[call-arg]
    for _ in range(3):
        update(model, optimizer)
    return model, optimizer


def update(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """One optimizer step on a fixed batch."""
    optimizer.zero_grad()
    model(torch.ones(2, 4)).square().sum().backward()
    optimizer.step()


@pytest.mark.parametrize("kind", [AdamW, torch.optim.AdamW, torch.optim.SGD], ids=lambda kind: kind.__module__)
def test_restored_pair_continues_identically(kind: type[torch.optim.Optimizer], tmp_path: Path) -> None:
    """After loading, further updates give the same bits as without the interruption, for our optimizer and torch's."""
    model, optimizer = model_and_optimizer(kind, seed=0)
    save_checkpoint(model, optimizer, 3, tmp_path / "c")
    other, other_optimizer = model_and_optimizer(kind, seed=1)
    assert load_checkpoint(tmp_path / "c", other, other_optimizer) == 3
    for _ in range(5):
        update(model, optimizer)
        update(other, other_optimizer)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


def test_hyperparameters_and_extra_are_restored(tmp_path: Path) -> None:
    """A changed learning rate and the caller's own data come back."""
    model, optimizer = model_and_optimizer(AdamW, seed=0)
    optimizer.param_groups[0]["lr"] = 0.5
    save_checkpoint(model, optimizer, 3, tmp_path / "c", extra={"seconds": 1.5})
    other, other_optimizer = model_and_optimizer(AdamW, seed=1)
    load_checkpoint(tmp_path / "c", other, other_optimizer)
    assert other_optimizer.param_groups[0]["lr"] == 0.5
    assert read_state(tmp_path / "c") == {"seconds": 1.5}


def test_generator_state_is_restored(tmp_path: Path) -> None:
    """Random numbers drawn after loading are those that would have come."""
    model, optimizer = model_and_optimizer(AdamW, seed=0)
    save_checkpoint(model, optimizer, 3, tmp_path / "c")
    expected = torch.rand(3)
    load_checkpoint(tmp_path / "c", model, optimizer)
    assert torch.equal(torch.rand(3), expected)


def test_files_are_those_of_the_format(tmp_path: Path) -> None:
    """A checkpoint is four files, none of them a pickle."""
    model, optimizer = model_and_optimizer(AdamW, seed=0)
    save_checkpoint(model, optimizer, 3, tmp_path / "c")
    names = {file.name for file in (tmp_path / "c").iterdir()}
    assert names == {"model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"}


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
def test_one_flipped_bit_is_noticed(name: str, tmp_path: Path) -> None:
    """A single damaged bit in any file is an error that names the file."""
    model, optimizer = model_and_optimizer(AdamW, seed=0)
    save_checkpoint(model, optimizer, 3, tmp_path / "c")
    data = bytearray((tmp_path / "c" / name).read_bytes())
    data[-1] ^= 1
    (tmp_path / "c" / name).write_bytes(data)
    with pytest.raises(TinylmError, match=f"{name}: damaged"):
        load_checkpoint(tmp_path / "c", model, optimizer)


def test_newest_undamaged_checkpoint_is_found(tmp_path: Path) -> None:
    """A damaged or half-removed later checkpoint is named and passed over."""
    model, optimizer = model_and_optimizer(AdamW, seed=0)
    for step in (1, 2, 3):
        save_checkpoint(model, optimizer, step, tmp_path / checkpoint_name(step))
    (tmp_path / checkpoint_name(3) / "model.safetensors").unlink()
    (tmp_path / checkpoint_name(2) / "manifest.json").unlink()
    found, damaged = newest_valid(tmp_path)
    assert found == tmp_path / checkpoint_name(1)
    assert [checkpoint_name(3) in damaged[0], checkpoint_name(2) in damaged[1]] == [True, True]


def test_failed_save_leaves_nothing_and_keeps_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk fills up during a save, the earlier checkpoint of that name is still there and whole."""
    model, optimizer = model_and_optimizer(AdamW, seed=0)
    save_checkpoint(model, optimizer, 3, tmp_path / "c")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(TinylmError, match=r"c: not saved .No space left"):
        save_checkpoint(model, optimizer, 4, tmp_path / "c")
    verify_checkpoint(tmp_path / "c")
    assert load_checkpoint(tmp_path / "c", model, optimizer) == 3
    assert [item.name for item in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize("room_bytes", [500, 2000], ids=["weights", "optimizer"])
def test_full_disk_is_one_clear_line(room_bytes: int, tmp_path: Path) -> None:
    """When the system takes no more bytes, the error names the checkpoint and what to do, and leaves nothing behind."""
    resource = pytest.importorskip("resource")
    model = torch.nn.Linear(16, 16)
    optimizer = AdamW(model.parameters(), lr=1e-2)
    model(torch.ones(16)).sum().backward()
    optimizer.step()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, before[1]))
    try:
        with pytest.raises(TinylmError, match=r"c: not saved .*File too large.*; make room there") as caught:
            save_checkpoint(model, optimizer, 1, tmp_path / "c")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_wrong_model_is_refused(tmp_path: Path) -> None:
    """Weights of other shapes are an error about the model, not a traceback."""
    model, optimizer = model_and_optimizer(AdamW, seed=0)
    save_checkpoint(model, optimizer, 3, tmp_path / "c")
    with pytest.raises(TinylmError, match="does not fit the model"):
        load_checkpoint(tmp_path / "c", torch.nn.Linear(3, 3))
