"""From TOML files and `--set` to a validated configuration, and back to TOML."""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import tomli_w
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tinylm.configs.model import ModelConfig
from tinylm.configs.presets import MODEL_PRESETS
from tinylm.configs.run import LENGTHS, RunConfig
from tinylm.configs.schedule import WARMUPS
from tinylm.errors import ConfigError, TinylmError, UsageError

T = TypeVar("T", bound=BaseModel)
ONE_OF = (LENGTHS, WARMUPS)
"""Keys that take one another's place: overriding one of them drops the others."""


def load_run_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """The run described by a TOML file (or a shipped configuration's name) with `key=value` overrides.

    Raises: ConfigError holding every problem found.
    """
    path = find_config(path)
    return parse(RunConfig, override_run(read_toml(path), overrides), source=str(path))


def override_run(values: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """`apply_overrides` for a run: `--set optim.kind=sgd` also drops the old kind's keys that the new one lacks."""
    result = apply_overrides(values, overrides)
    for name in ("optim", "schedule"):
        old, new = values.get(name, {}), result.get(name, {})
        kind = _kind_of(name, new)
        if kind is not None and "kind" in new and new["kind"] != old.get("kind"):
            lost = old.keys() - kind.model_fields.keys()
            result[name] = {key: value for key, value in new.items() if key not in lost or old[key] != value}
    return result


def _kind_of(table: str, values: Mapping[str, Any]) -> type[BaseModel] | None:
    """The class of a table that comes in kinds, or None for a kind that does not exist."""
    kinds = _models_in(RunConfig.model_fields[table].annotation)
    return next((kind for kind in kinds if kind.model_fields["kind"].default == values.get("kind")), None)


def load_model_config(
    *, preset: str | None = None, path: str | Path | None = None, overrides: Sequence[str] = ()
) -> ModelConfig:
    """A model by preset name, or the `[model]` table of a file. Overrides may be written with or without `model.`."""
    if (preset is None) == (path is None):
        raise UsageError("give either --preset NAME or --config FILE")
    if preset is not None:
        values, source = dict(preset_values(preset)), f"preset {preset}"
    else:
        file = find_config(path or "")
        values, source = read_toml(file).get("model", {}), str(file)
    overrides = [text.removeprefix("model.") for text in overrides]
    return parse(ModelConfig, apply_overrides(values, overrides), source=source)


def preset_values(name: str) -> Mapping[str, Any]:
    """Raises: UsageError with a suggestion when there is no such preset."""
    if name not in MODEL_PRESETS:
        raise UsageError(f"no preset {name!r}{did_you_mean(name, MODEL_PRESETS)}; there are {', '.join(MODEL_PRESETS)}")
    return MODEL_PRESETS[name]


def shipped_configs(folder: str = "") -> dict[str, Path]:
    """The configurations that come with tinylm, by name; those in a folder (`sweeps`) are not runs."""
    installed = Path(__file__).parent / "shipped"
    directory = installed if installed.is_dir() else Path(__file__).parents[3] / "configs"
    return {path.stem: path for path in sorted((directory / folder).glob("*.toml"))}


def find_config(path: str | Path, folder: str = "") -> Path:
    """A file that exists, or a shipped configuration by name.

    Raises: UsageError with a suggestion when it is neither.
    """
    if Path(path).is_file():
        return Path(path)
    shipped = shipped_configs(folder)
    if str(path) in shipped:
        return shipped[str(path)]
    if Path(path).is_dir():
        raise UsageError(f"{path}: is a directory, expected a TOML file")
    guess = did_you_mean(Path(path).stem, shipped)
    raise UsageError(f"{path}: no such file{guess}; shipped configurations: {', '.join(shipped)}")


def read_toml(path: Path) -> dict[str, Any]:
    """Raises: ConfigError when the file is not TOML; TinylmError when it is not UTF-8."""
    try:
        return tomllib.loads(path.read_bytes().decode())
    except UnicodeDecodeError as error:
        raise TinylmError(f"{path}: not UTF-8 at byte {error.start}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(path), [f"not valid TOML: {error}"]) from error


def apply_overrides(values: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A deep copy of `values` with each `a.b=value` applied; values are read as TOML, bare words as strings.

    Raises: ConfigError holding every override that is not of that form.
    """
    result = _deep_copy(values)
    problems = []
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not all(key.strip().split(".")):
            problems.append(f"{text!r} is not of the form key=value")
            continue
        problem = _assign(result, key.strip().split("."), parse_value(value.strip()))
        problems += [problem] if problem else []
    if problems:
        raise ConfigError("--set", problems)
    return result


def with_settings(values: Mapping[str, Any], settings: Mapping[str, Any], *, source: str) -> dict[str, Any]:
    """A copy of nested `values` with each dotted key of `settings` replaced. Raises: ConfigError."""
    result = _deep_copy(values)
    problems = [_assign(result, key.split("."), value) for key, value in settings.items()]
    if any(problems):
        raise ConfigError(source, [problem for problem in problems if problem])
    return result


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"optim": {"lr": 1}}` -> `{"optim.lr": 1}`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def parse_value(text: str) -> Any:
    """`1e-3` -> 0.001, `true` -> True, `[1, 2]` -> [1, 2], `cosine` -> 'cosine'."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _assign(values: dict[str, Any], path: Sequence[str], value: Any) -> str | None:
    *tables, last = path
    for depth, name in enumerate(tables, start=1):
        inner = values.setdefault(name, {})
        if not isinstance(inner, dict):
            return f"{'.'.join(path)}: {'.'.join(tables[:depth])} is a value, not a table"
        values = inner
    values[last] = value
    for displaced in (name for keys in ONE_OF if last in keys for name in keys if name != last):
        values.pop(displaced, None)
    return None


def _deep_copy(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _deep_copy(value) if isinstance(value, Mapping) else value for key, value in values.items()}


def parse(model: type[T], values: Mapping[str, Any], *, source: str) -> T:
    """Validate `values` as `model`.

    Raises: ConfigError with every problem, each with its key's path and a suggestion.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(source, [_describe(details, model) for details in error.errors()]) from error


def _describe(details: ErrorDetails, model: type[BaseModel]) -> str:
    location = [str(part) for part in details["loc"]]
    table, location = _resolve(model, location)
    key = ".".join(location)
    if details["type"] == "extra_forbidden":
        fields = sorted({name for m in table for name in m.model_fields})
        return f"{key}: no such key{did_you_mean(location[-1], fields)}"
    if details["type"] == "missing":
        return f"{key}: missing"
    message = details["msg"].removeprefix("Value error, ")
    if details["type"] == "value_error":
        return f"{key}: {message}" if key else message
    literal = details.get("ctx", {}).get("expected_tags") or details.get("ctx", {}).get("expected", "")
    shown = details["input"].get("kind") if details["type"].startswith("union_tag") else details["input"]
    guess = did_you_mean(str(shown), str(literal).replace("'", "").replace(" or ", ", ").split(", ")) if literal else ""
    return f"{key}: {message[0].lower()}{message[1:]}, not {shown!r}{guess}"


def _resolve(model: type[BaseModel], location: list[str]) -> tuple[list[type[BaseModel]], list[str]]:
    """The tables that hold a location's last key, and the location without the union tags pydantic adds."""
    tables: list[type[BaseModel]] = [model]
    plain = []
    for part in location:
        tagged = [m for m in tables if "kind" in m.model_fields and m.model_fields["kind"].default == part]
        if tagged and part not in {name for m in tables for name in m.model_fields}:
            tables = tagged
            continue
        plain.append(part)
        nested = [
            m for table in tables if part in table.model_fields for m in _models_in(table.model_fields[part].annotation)
        ]
        tables = nested or tables
    return tables, plain


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def did_you_mean(word: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """`; did you mean 'lr'?` when one of `known` is close to `word`, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def to_toml(config: BaseModel) -> str:
    """The configuration with every default filled in; loading it back gives an equal one."""
    return tomli_w.dumps(config.model_dump(exclude_none=True))
