"""Sweep files: what they accept, what they say when they do not, and the shipped ones."""

from pathlib import Path

import pytest

from tinylm.accounting.flops import training_flops
from tinylm.accounting.shape import ModelShape
from tinylm.configs.loader import shipped_configs
from tinylm.configs.sweep import SWEEPS, load_sweep_config
from tinylm.errors import ConfigError
from tinylm.experiments.trials import plan_trials

SHIPPED = shipped_configs(SWEEPS)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_sweep_makes_sound_trials(name: str) -> None:
    """Every shipped sweep is a list of valid configurations."""
    trials = plan_trials(load_sweep_config(name))
    assert len(trials) >= 4


def test_each_sweep_comes_in_both_sizes() -> None:
    """What is shipped for a GPU is shipped for a CPU too, with the same number of dimensions."""
    full = {name for name in SHIPPED if not name.endswith("-cpu")}
    assert {f"{name}-cpu" for name in full} == SHIPPED.keys() - full
    for name in full:
        keys = [{key for _, values in load_sweep_config(n).settings() for key in values} for n in (name, f"{name}-cpu")]
        assert keys[0] == keys[1]


def test_ablations_keep_the_parameters() -> None:
    """The SiLU feed-forward has as many parameters as the gated one it replaces, to five percent a block."""
    for name in ("ablations", "ablations-cpu"):
        trials = {trial.name: trial.config.model for trial in plan_trials(load_sweep_config(name))}
        gated, plain = trials["baseline"], trials["silu"]
        assert 2 * plain.d_ff == pytest.approx(3 * gated.d_ff, rel=0.05)


@pytest.mark.parametrize("name", ["model-size", "model-size-cpu"])
def test_model_sizes_spend_the_same(name: str) -> None:
    """Every size of the sweep takes the same training FLOPs, to half a percent."""
    configs = [trial.config for trial in plan_trials(load_sweep_config(name))]
    flops = [
        training_flops(ModelShape.of(config.model), config.train.batch_size) * (config.train.steps or 0)
        for config in configs
    ]
    assert max(flops) / min(flops) < 1.005


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "nothing to try"),
        ("[grids]\n", "grids: no such key; did you mean 'grid'?"),
        ("[grid]\n'optim.lr' = 1e-3\n", "should be a valid list, not 0.001"),
        ("[grid]\n'optim.lr' = []\n", "at least 1 item"),
        ("[grid]\n'optim.lr' = { low = 1e-3, high = 1e-2 }\n", "num: missing"),
        ("[grid]\n'optim.lr' = { low = 1e-2, high = 1e-3, num = 3 }\n", "low 0.01 must be below high 0.001"),
        ("[search]\ntrials = 3\n'optim.lr' = { low = 0, high = 1 }\n", "must be above 0 on a logarithmic scale"),
        ("[search]\n'optim.lr' = { low = 1, high = 2 }\n", "search.trials: missing"),
        ("[[points]]\nname = '../x'\n", "points.0.name: string should match pattern"),
    ],
)
def test_mistakes_are_named(text: str, message: str, tmp_path: Path) -> None:
    """A sweep file that makes no sense is refused with the key and the reason."""
    file = tmp_path / "sweep.toml"
    file.write_text(f'base = "tinystories"\n{text}')
    with pytest.raises(ConfigError) as caught:
        load_sweep_config(file)
    assert message in str(caught.value)


def test_missing_base_is_named(tmp_path: Path) -> None:
    """The base must be a file or a shipped configuration."""
    file = tmp_path / "sweep.toml"
    file.write_text('base = "tinystoris"\n[grid]\n"optim.lr" = [1e-3]\n')
    with pytest.raises(ConfigError, match="base: tinystoris: no such file; did you mean 'tinystories'"):
        load_sweep_config(file)
