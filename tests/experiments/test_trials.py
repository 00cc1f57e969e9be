"""From a sweep file to trials: order, names, and all problems at once."""

from pathlib import Path

import pytest

from tinylm.configs.sweep import load_sweep_config
from tinylm.errors import ConfigError
from tinylm.experiments.trials import Trial, plan_trials, short_keys

DATA = '[data]\ntrain = "t.npy"\nvalid = "v.npy"\ntokenizer = "tok"\n'


def plan(directory: Path, sweep: str, *overrides: str, base: str = "") -> list[Trial]:
    """The trials of a sweep over a minimal configuration, with more tables perhaps."""
    (directory / "base.toml").write_text(DATA + base)
    (directory / "sweep.toml").write_text(f'base = "{directory / "base.toml"}"\n{sweep}')
    return plan_trials(load_sweep_config(directory / "sweep.toml", overrides))


def names(trials: list[Trial]) -> list[str]:
    """Of the trials."""
    return [trial.name for trial in trials]


def test_grid_is_all_combinations(tmp_path: Path) -> None:
    """Every combination, the last key varying fastest, named by its settings, which its configuration has."""
    trials = plan(tmp_path, '[grid]\n"optim.lr" = [1e-3, 2e-3]\n"train.batch_size" = [8, 16]\n')
    assert names(trials) == [
        "lr=0.001,batch_size=8", "lr=0.001,batch_size=16", "lr=0.002,batch_size=8", "lr=0.002,batch_size=16",
    ]  # fmt: skip
    assert [(trial.config.optim.lr, trial.config.train.batch_size) for trial in trials] == [
        (1e-3, 8), (1e-3, 16), (2e-3, 8), (2e-3, 16),
    ]  # fmt: skip


def test_points_are_taken_together(tmp_path: Path) -> None:
    """A point sets several keys at once, quoted or as tables; a name of its own replaces the one made from them."""
    trials = plan(
        tmp_path,
        '[[points]]\nname = "baseline"\n'
        '[[points]]\nname = "no-rope"\nmodel.position = "none"\n'
        '[[points]]\n"optim.lr" = 1e-3\n"train.batch_size" = 8\n',
    )
    assert names(trials) == ["baseline", "no-rope", "lr=0.001,batch_size=8"]
    assert trials[0].values == {}
    assert trials[1].config.model.position == "none"


def test_spaced_grid_is_rounded_to_be_read(tmp_path: Path) -> None:
    """A range of a grid has both ends and equal ratios between, to three digits."""
    trials = plan(tmp_path, '[grid]\n"optim.lr" = { low = 1e-3, high = 1e-1, num = 5 }\n')
    assert [trial.values["optim.lr"] for trial in trials] == [0.001, 0.00316, 0.01, 0.0316, 0.1]


def test_search_draws_the_same_every_time(tmp_path: Path) -> None:
    """Draws lie in their range, whole numbers where both ends are, and more trials leave the first ones alone."""
    space = '"optim.lr" = { low = 1e-3, high = 1e-1 }\n"model.d_ff" = { low = 8, high = 64, log = false }\n'
    space += '"model.position" = ["rope", "none"]\n'
    few = plan(tmp_path, f"[search]\ntrials = 5\nseed = 3\n{space}")
    many = plan(tmp_path, f"[search]\ntrials = 40\nseed = 3\n{space}")
    other = plan(tmp_path, f"[search]\ntrials = 40\nseed = 4\n{space}")
    assert names(few) == names(many)[:5] != names(other)[:5]
    assert all(1e-3 <= trial.config.optim.lr <= 1e-1 for trial in many)
    assert all(isinstance(trial.values["model.d_ff"], int) for trial in many)
    below = sum(trial.config.optim.lr < 1e-2 for trial in many)  # the middle, on a logarithmic scale
    assert 10 <= below <= 30
    assert {trial.config.model.position for trial in many} == {"rope", "none"}


def test_set_is_shared(tmp_path: Path) -> None:
    """[set] and --set reach every trial, --set winning."""
    sweep = '[set]\ntrain.steps = 300\nmodel.d_ff = 64\n[grid]\n"optim.lr" = [1e-3, 2e-3]\n'
    trials = plan(tmp_path, sweep, "train.steps=400")
    assert {(trial.config.train.steps, trial.config.model.d_ff) for trial in trials} == {(400, 64)}


def test_another_kind_drops_the_old_kinds_keys(tmp_path: Path) -> None:
    """In [set], in a grid and by --set, as in a single run: what only the base's kind has is left out."""
    base = '[optim]\nkind = "muon"\nmomentum = 0.9\n[schedule]\nkind = "cosine"\nmin_lr = 1e-5\n'
    sweep = '[set]\n"optim.kind" = "adamw"\n[grid]\n"schedule.kind" = ["cosine", "constant"]\n'
    cosine, constant = plan(tmp_path, sweep, base=base)
    assert (cosine.config.optim.kind, constant.config.optim.kind) == ("adamw", "adamw")
    assert (cosine.config.schedule.kind, constant.config.schedule.kind) == ("cosine", "constant")
    sweep = '[set]\n"optim.momentum" = 0.8\n[grid]\n"train.steps" = [500, 600]\n'
    trials = plan(tmp_path, sweep, "optim.kind=sgd", base=base)
    assert {trial.config.optim.kind for trial in trials} == {"sgd"}


def test_set_may_not_hide_what_is_swept(tmp_path: Path) -> None:
    """--set of a swept key would have no effect, so it is refused."""
    with pytest.raises(ConfigError, match=r"optim\.lr: the sweep itself sets it"):
        plan(tmp_path, '[grid]\n"optim.lr" = [1e-3, 2e-3]\n', "optim.lr=1")


def test_problems_of_all_trials_come_at_once(tmp_path: Path) -> None:
    """Each problem is said once, with the trials that have it."""
    sweep = '[grid]\n"optim.lr" = [1e-3, -1]\n"train.batch_sise" = [8, 16]\n"train.steps" = [500]\n'
    with pytest.raises(ConfigError) as caught:
        plan(tmp_path, sweep)
    unknown, negative = caught.value.problems
    assert unknown == "train.batch_sise: no such key; did you mean 'batch_size'? (in every trial)"
    assert negative.startswith("optim.lr: input should be greater than 0")
    assert negative.endswith("(in lr=-1,batch_sise=8,steps=500, lr=-1,batch_sise=16,steps=500)")


def test_names_are_unique(tmp_path: Path) -> None:
    """Two trials of one name would share a run directory."""
    with pytest.raises(ConfigError, match=r"lr=0\.001: two trials are called so"):
        plan(tmp_path, '[grid]\n"optim.lr" = [1e-3, 0.001]\n')


def test_short_keys_stay_distinct() -> None:
    """The last part of a key is enough unless two keys end alike."""
    assert short_keys(["optim.lr", "optim.kind", "schedule.kind"]) == {
        "optim.lr": "lr", "optim.kind": "optim.kind", "schedule.kind": "schedule.kind",
    }  # fmt: skip
