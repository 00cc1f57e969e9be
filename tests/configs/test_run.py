"""A run has one length and a schedule one warm-up, whichever of their units they are given in."""

import tomllib
from pathlib import Path

import pytest

from tinylm.configs.loader import load_run_config, parse, to_toml
from tinylm.configs.run import RunConfig
from tinylm.errors import ConfigError

DATA = '[data]\ntrain = "t"\nvalid = "v"\ntokenizer = "d"\n'


def load(tmp_path: Path, text: str, *overrides: str) -> RunConfig:
    """A run of the given tables and settings."""
    (tmp_path / "run.toml").write_text(DATA + text)
    return load_run_config(tmp_path / "run.toml", overrides)


def test_default_length_and_warmup(tmp_path: Path) -> None:
    """Without the keys a run has 5000 steps and warms up over 5 % of them; a constant rate starts at its peak."""
    config = load(tmp_path, "")
    assert (config.train.steps, config.schedule.warmup_fraction) == (5000, 0.05)
    assert load(tmp_path, "", "schedule.kind=constant").schedule.warmup_fraction == 0


@pytest.mark.parametrize("key", ["budget_seconds", "budget_h100_hours"])
def test_a_budget_takes_the_place_of_steps(key: str, tmp_path: Path) -> None:
    """Overriding with a budget drops the file's steps, and the other way round; the result survives printing."""
    config = load(tmp_path, "[train]\nsteps = 7\n[schedule]\nwarmup_steps = 3\n", f"train.{key}=9")
    assert (config.train.steps, getattr(config.train, key)) == (None, 9)
    assert parse(RunConfig, tomllib.loads(to_toml(config)), source="printed") == config
    assert load(tmp_path, f"[train]\n{key} = 9\n", "train.steps=100").train.steps == 100


def test_a_warmup_takes_the_place_of_the_other(tmp_path: Path) -> None:
    """Overriding with a share drops the file's steps of warm-up."""
    schedule = load(tmp_path, "[schedule]\nwarmup_steps = 3\n", "schedule.warmup_fraction=0.1").schedule
    assert (schedule.warmup_steps, schedule.warmup_fraction) == (None, 0.1)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[train]\nsteps = 7\nbudget_seconds = 9\n", "train: steps and budget_seconds are both given"),
        ("[schedule]\nwarmup_steps = 7\nwarmup_fraction = 0.1\n", "warmup_steps and warmup_fraction are both given"),
        ('[schedule]\nkind = "wsd"\nwarmup_fraction = 0.9\n', "warmup_fraction 0.9 and decay_fraction 0.2 overlap"),
        ('[train]\nsteps = 99\n[schedule]\nkind = "wsd"\nwarmup_steps = 90\n', "reaches into the decay, the last 20%"),
        ('[schedule]\nkind = "linear"\nmin_lr = 1.0\n', "schedule.min_lr 1.0 is above optim.lr"),
        ("[train]\nbudget_seconds = 0\n", "train.budget_seconds"),
    ],
)
def test_what_contradicts_itself_is_refused(text: str, problem: str, tmp_path: Path) -> None:
    """Two lengths, two warm-ups, or a warm-up that meets the decay: one line that says which."""
    with pytest.raises(ConfigError) as error:
        load(tmp_path, text)
    assert problem in str(error.value)
