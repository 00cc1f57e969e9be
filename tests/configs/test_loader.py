"""Configurations: sources in order, all errors at once with suggestions, and TOML that reproduces the run."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinylm.accounting.parameters import count_parameters
from tinylm.accounting.shape import ModelShape
from tinylm.configs.loader import (
    apply_overrides,
    did_you_mean,
    find_config,
    load_run_config,
    parse,
    parse_value,
    shipped_configs,
    to_toml,
)
from tinylm.configs.run import RunConfig
from tinylm.errors import ConfigError, TinylmError, UsageError

DATA = '[data]\ntrain = "t.npy"\nvalid = "v.npy"\ntokenizer = "tok"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A minimal configuration file."""
    path = tmp_path / "run.toml"
    path.write_text(DATA)
    return path


def problems(path: Path, *overrides: str) -> tuple[str, ...]:
    """What is wrong with a configuration."""
    with pytest.raises(ConfigError) as caught:
        load_run_config(path, overrides)
    return caught.value.problems


def test_later_sources_win(file: Path) -> None:
    """Defaults give way to the file, the file to --set."""
    file.write_text(DATA + "[optim]\nlr = 0.5\nbeta1 = 0.8\n")
    config = load_run_config(file, ["optim.lr=1e-3"])
    assert (config.optim.lr, config.optim.beta1, config.optim.eps) == (1e-3, 0.8, 1e-8)  # type: ignore[union-attr]


def test_all_problems_are_reported_at_once(file: Path) -> None:
    """Every misspelt, missing and impossible key is named by its path, the misspelt ones with a suggestion."""
    file.write_text(
        'seeed = 1\n[data]\ntrain = "t"\nvalid = "v"\n[model]\nd_modle = 5\nnorm = "rmsnrm"\n[optim]\nlr = -1\n'
    )
    found = "\n".join(problems(file))
    assert "data.tokenizer: missing" in found
    assert "seeed: no such key; did you mean 'seed'?" in found
    assert "model.d_modle: no such key; did you mean 'd_model'?" in found
    assert "model.norm: input should be 'rmsnorm' or 'none', not 'rmsnrm'; did you mean 'rmsnorm'?" in found
    assert "optim.lr: input should be greater than 0, not -1" in found


def test_unknown_kind_lists_the_known_ones(file: Path) -> None:
    """A misspelt optimizer kind names those that exist."""
    (problem,) = problems(file, "optim.kind=admw")
    assert problem.startswith("optim:")
    assert "'adamw', 'muon', 'normuon', 'sgd'" in problem
    assert "did you mean 'adamw'?" in problem


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.num_heads=7", "d_model 512 is not divisible by num_heads 7; try num_heads = 8"),
        ("model.num_heads=512", "d_head = d_model / num_heads = 1 is odd"),
        ("model.value_embeddings=9", "value_embeddings 9 is more than num_layers 8"),
        ("model.logit_softcap=-1", "model.logit_softcap: input should be greater than or equal to 0, not -1"),
        ("train.grad_accumulation=3", "batch_size 128 is not divisible by grad_accumulation 3"),
        ("schedule.min_lr=1", "schedule.min_lr 1.0 is above optim.lr 0.002"),
        ("schedule.warmup_steps=9999", "schedule.warmup_steps 9999 is more than train.steps 5000"),
        ("model.context_length=1e30", "model.context_length"),
        ("model.d_model=-4", "greater than 0, not -4"),
    ],
)
def test_values_that_do_not_fit_together(file: Path, override: str, message: str) -> None:
    """Impossible values and combinations are refused with the numbers in the message."""
    assert message in "\n".join(problems(file, override))


@pytest.mark.parametrize("num_layers", [1, 2])
def test_skip_connections_need_a_block_to_lead_past(file: Path, num_layers: int) -> None:
    """One line that says how many layers it takes; three are enough."""
    override = ["model.skip_connections=true", f"model.num_layers={num_layers}"]
    assert problems(file, *override) == (
        f"model: skip_connections needs num_layers of at least 3, not {num_layers}: they lead past a block",
    )
    assert load_run_config(file, [override[0], "model.num_layers=3"]).model.skip_connections


@pytest.mark.parametrize("override", ["optim.lr", "=3", "optim..lr=3"])
def test_override_must_be_key_and_value(file: Path, override: str) -> None:
    """--set without key or value is refused and quoted."""
    assert problems(file, override) == (f"{override!r} is not of the form key=value",)


def test_override_cannot_go_below_a_value(file: Path) -> None:
    """`seed.x` is refused: seed is a value."""
    file.write_text("seed = 1\n" + DATA)
    assert problems(file, "seed.x=3") == ("seed.x: seed is a value, not a table",)


def test_another_kind_drops_the_old_kinds_keys(file: Path) -> None:
    """--set schedule.kind=constant works on a file that says cosine and min_lr; keys that both kinds have stay."""
    file.write_text(DATA + '[schedule]\nkind = "cosine"\nmin_lr = 1e-5\nwarmup_steps = 7\n')
    schedule = load_run_config(file, ["schedule.kind=constant"]).schedule
    assert schedule.model_dump(exclude_none=True) == {"kind": "constant", "warmup_steps": 7}
    assert "schedule.min_lr: no such key" in problems(file, "schedule.kind=constant", "schedule.min_lr=1e-4")[0]


def test_another_kind_keeps_a_misspelt_key(file: Path) -> None:
    """Only keys of other kinds go; what no kind has is still a mistake."""
    file.write_text(DATA + "[optim]\nmomentun = 0.9\nbeta1 = 0.8\n")
    assert problems(file, "optim.kind=sgd") == ("optim.momentun: no such key",)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("optim='muon'", "optim: is a table, not 'muon'; did you mean optim.kind=muon?"),
        ("schedule='muon'", "schedule: is a table, not 'muon'"),
        ("schedule=[1]", "schedule: is a table, not [1]"),
        ("model=3", "model: is a table, not 3"),
    ],
)
def test_a_value_in_place_of_a_table_is_named(file: Path, line: str, problem: str) -> None:
    """By --set as well as in the file."""
    assert problems(file, line) == (problem,)
    file.write_text(f"{line}\n{DATA}")
    assert problems(file) == (problem,)


def test_a_later_override_wins(file: Path) -> None:
    """Among keys that take one another's place too."""
    train = load_run_config(file, ["train.steps=5", "train.budget_seconds=3", "train.steps=7"]).train
    assert (train.steps, train.budget_seconds) == (7, None)


def test_every_wrong_override_is_named(file: Path) -> None:
    """Those without a value, and those below one."""
    file.write_text("seed = 1\n" + DATA)
    assert problems(file, "optim.lr", "seed.x=3") == (
        "'optim.lr' is not of the form key=value", "seed.x: seed is a value, not a table",
    )  # fmt: skip


def test_overrides_leave_their_source_alone() -> None:
    """Applying overrides changes a copy."""
    source = {"a": {"b": 1}}
    assert apply_overrides(source, ["a.b=2", "c=3"]) == {"a": {"b": 2}, "c": 3}
    assert source == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("3", 3),
        ("true", True),
        ("cosine", "cosine"),
        ('"3"', "3"),
        ("[1, 2]", [1, 2]),
        ("a b", "a b"),
        ("2024-01-01", "2024-01-01"),
        ("12:30:00", "12:30:00"),
        ("2024-01-01 12:30:00", "2024-01-01 12:30:00"),
    ],
)
def test_override_values_are_toml(text: str, value: object) -> None:
    """Numbers, booleans, lists and quoted text as in TOML; anything else is a word, dates too: no key takes one."""
    assert parse_value(text) == value


@given(
    seed=st.integers(0, 2**40),
    lr=st.floats(1e-6, 1, exclude_min=True),
    kind=st.sampled_from(["adamw", "muon", "normuon", "sgd"]),
    tied=st.booleans(),
)
def test_printed_toml_reproduces_the_run(seed: int, lr: float, kind: str, tied: bool) -> None:
    """Loading what --print-config prints gives an equal configuration."""
    data = {"train": 'a"b', "valid": "v\\", "tokenizer": "t"}
    values = {"seed": seed, "data": data, "optim": {"kind": kind, "lr": lr}, "model": {"tie_embeddings": tied}}
    values["schedule"] = {"min_lr": 0.0}
    config = parse(RunConfig, values, source="test")
    assert parse(RunConfig, tomllib.loads(to_toml(config)), source="test") == config


def test_missing_file_names_the_shipped_ones() -> None:
    """A configuration that is neither a file nor shipped is exit code 2 with a suggestion."""
    with pytest.raises(UsageError, match=r"tinystoris: no such file; did you mean 'tinystories'\?; shipped .*demo"):
        find_config("tinystoris")


def test_broken_toml_and_foreign_bytes_are_named(tmp_path: Path) -> None:
    """Not TOML and not UTF-8 are told apart, with the place."""
    broken, foreign = tmp_path / "broken.toml", tmp_path / "foreign.toml"
    broken.write_text("[model\n")
    foreign.write_bytes(b"a = \xff")
    with pytest.raises(ConfigError, match=r"not valid TOML: .*line 1"):
        load_run_config(broken)
    with pytest.raises(TinylmError, match="not UTF-8 at byte 4"):
        load_run_config(foreign)


@pytest.mark.parametrize("name", ["demo", "tinystories", "tinystories-cpu", "owt"])
def test_named_configs_are_shipped(name: str) -> None:
    """The configurations that the documentation names exist."""
    assert name in shipped_configs()


@pytest.mark.parametrize("path", shipped_configs().values(), ids=lambda path: path.stem)
def test_every_shipped_config_loads(path: Path) -> None:
    """Each file of configs/ is a valid run."""
    assert isinstance(load_run_config(path), RunConfig)


def test_writeup_config_is_the_writeups_model() -> None:
    """`tinystories` is the write-up's baseline, key by key."""
    config = load_run_config("tinystories")
    model, train = config.model, config.train
    assert (model.vocab_size, model.context_length, model.d_model) == (10_000, 256, 512)
    assert (model.num_layers, model.num_heads, model.d_ff) == (8, 8, 1408)
    assert (train.steps, train.batch_size, config.optim.lr) == (5000, 128, 2e-3)


WRITE_UPS = {
    "owt-10k-steps": (58, 10_000 * 128 * 256),
    "owt-r1-2-small": (58, 10_000 * 128 * 256),
    "owt-r1-3-medium": (110, 213e6),
    "owt-r1-4-large": (235, 114.7e6),
    "owt": (42, 1.31e9),
    "owt-v2-2-medium": (70, 655e6),
    "owt-v2-3-batch-256": (42, 1.31e9),
}
"""The write-up's OpenWebText runs: millions of parameters and tokens seen."""


@pytest.mark.parametrize("name", WRITE_UPS)
def test_writeup_runs_have_its_sizes(name: str) -> None:
    """Parameters and tokens of the OpenWebText runs are the write-up's, where it gives them."""
    config = load_run_config(name)
    tokens = (config.train.steps or 0) * config.train.batch_size * config.model.context_length
    millions, expected = WRITE_UPS[name]
    assert round(count_parameters(ModelShape.of(config.model)).total / 1e6) == millions
    assert tokens == pytest.approx(expected, rel=2e-3)


def test_the_readme_names_every_run() -> None:
    """What is shipped can be found: the table of the README has a row for each configuration, and no other."""
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    section = readme.split("## Shipped runs")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z0-9-]+)`", section, re.MULTILINE)) == set(shipped_configs())


def test_suggestion_only_when_close() -> None:
    """Nothing is suggested for a word that resembles nothing."""
    assert did_you_mean("lrr", ["lr", "eps"]) == "; did you mean 'lr'?"
    assert did_you_mean("zzz", ["lr", "eps"]) == ""
