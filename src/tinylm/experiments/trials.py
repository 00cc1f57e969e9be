"""The trials of a sweep: from its file a name and a whole run configuration each, or every problem at once."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tinylm.configs.loader import find_config, parse, read_toml, with_settings
from tinylm.configs.run import RunConfig
from tinylm.configs.sweep import SweepConfig, Values
from tinylm.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Trial:
    """One training run of a sweep."""

    name: str
    """Also the name of its run directory: the same settings always have the same name."""
    values: Values
    """What the sweep set, by dotted key."""
    config: RunConfig


@dataclass(frozen=True, slots=True)
class TrialResult:
    """One trial; the keys of its JSON object."""

    name: str
    values: dict[str, Any]
    status: str
    """`done`, `diverged` or `failed`; `waiting` and `running` in the results of a sweep that was stopped."""
    valid_loss: float | None
    valid_perplexity: float | None
    tokens: int | None
    seconds: float | None
    run: str
    message: str = ""

    @property
    def conclusive(self) -> bool:
        """Whether its settings led to this result: not those of a trial that failed or has not ended."""
        return self.status in {"done", "diverged"}


def plan_trials(sweep: SweepConfig) -> list[Trial]:
    """The trials in the order of the file.

    Raises: ConfigError with the problems of all trials, each problem once with the trials that have it.
    """
    base = find_config(sweep.base)
    values = with_settings(read_toml(base), sweep.set, source=f"{base} with [set]")
    settings = list(sweep.settings())
    shown = short_keys({key for _, trial in settings for key in trial})
    trials: list[Trial] = []
    problems: dict[str, list[str]] = {}
    for name, chosen in settings:
        name = name or trial_name(chosen, shown)
        try:
            config = parse(RunConfig, with_settings(values, chosen, source=name), source=name)
            trials.append(Trial(name, chosen, config))
        except ConfigError as error:
            for problem in error.problems:
                problems.setdefault(problem, []).append(name)
    source = f"the trials on {base}"
    if problems:
        raise ConfigError(source, shared_problems(problems, len(settings)))
    _require_unique(source, [trial.name for trial in trials])
    return trials


def shared_problems(problems: dict[str, list[str]], num_trials: int) -> list[str]:
    """Each problem with the trials that have it."""
    return [
        f"{problem} (in {'every trial' if len(names) == num_trials else ', '.join(names)})"
        for problem, names in problems.items()
    ]


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """`optim.lr` -> `lr`, the whole key where two would be called the same."""
    keys = sorted(keys)
    count = Counter(key.rpartition(".")[2] for key in keys)
    return {key: last if count[last := key.rpartition(".")[2]] == 1 else key for key in keys}


def trial_name(values: Values, shown: dict[str, str]) -> str:
    """`{"optim.lr": 1e-3, "train.batch_size": 8}` -> `lr=0.001,batch_size=8`, fit for a file name."""
    text = ",".join(f"{shown[key]}={value_text(value)}" for key, value in values.items())
    return re.sub(r"[^\w.=,+-]+", "-", text) or "base"


def value_text(value: Any) -> str:
    """A setting as people write it: `0.001`, `true`, `muon`."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value)


def _require_unique(source: str, names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ConfigError(source, [f"{name}: two trials are called so; give a name, or change one" for name in twice])
