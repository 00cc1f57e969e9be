"""What differs between runs: the settings that matter, and those only."""

from tinylm.experiments.differences import differences


def config(lr: float = 1e-3, **train: object) -> dict[str, object]:
    """A configuration with what matters here."""
    return {"seed": 1, "optim": {"lr": lr}, "train": {"steps": 10, **train}}


def test_only_what_varies_is_listed() -> None:
    """A key that all share is left out; one that some lack is None there."""
    found = differences({"a": config(1e-3), "b": config(2e-3), "c": config(2e-3, batch_size=8)})
    assert found == {
        "a": {"optim.lr": 1e-3, "train.batch_size": None},
        "b": {"optim.lr": 2e-3, "train.batch_size": None},
        "c": {"optim.lr": 2e-3, "train.batch_size": 8},
    }


def test_bookkeeping_is_no_difference() -> None:
    """How often a run is saved or evaluated, and on which device, says nothing about the model."""
    runs = {"a": config(save_every=1, device="cpu"), "b": config(save_every=2, device="cuda")}
    assert differences(runs) == {"a": {}, "b": {}}


def test_numbers_and_text_stay_apart() -> None:
    """1 and "1", 1 and true are different settings."""
    assert differences({"a": {"x": 1}, "b": {"x": True}}) == {"a": {"x": 1}, "b": {"x": True}}
