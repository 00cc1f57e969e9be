"""From TOML files and `--set` to a validated configuration, and back to TOML."""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, time
from pathlib import Path
from typing import Any, TypeVar, get_args

import tomli_w
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

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
    return parse(RunConfig, apply_overrides(read_toml(path), overrides), source=str(path))


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
    """`with_settings` for texts: each `a.b=value` is read as TOML, bare words as strings.

    Raises: ConfigError holding every override that is not of that form, or cannot be applied.
    """
    settings: dict[str, Any] = {}
    malformed = []
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not all(key.strip().split(".")):
            malformed.append(f"{text!r} is not of the form key=value")
            continue
        settings.pop(key.strip(), None)  # the later one takes its place in the order too
        settings[key.strip()] = parse_value(value.strip())
    result, problems = _replaced(values, settings)
    if malformed or problems:
        raise ConfigError("--set", [*malformed, *problems])
    return result


def with_settings(values: Mapping[str, Any], settings: Mapping[str, Any], *, source: str) -> dict[str, Any]:
    """A copy of a run's nested `values` with each dotted key of `settings` replaced.

    What a setting displaces goes: keys whose place it takes (a budget that of the steps), and for another kind of
    optimizer or schedule the keys that only other kinds have. Raises: ConfigError.
    """
    result, problems = _replaced(values, settings)
    if problems:
        raise ConfigError(source, problems)
    return result


def _replaced(values: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The copy, and what is wrong with the settings."""
    result = _deep_copy(values)
    problems = [_assign(result, key.split("."), value) for key, value in settings.items()]
    for name in ("optim", "schedule"):
        if f"{name}.kind" in settings and isinstance(result[name], dict):
            foreign = _keys_of_other_kinds(name, settings[f"{name}.kind"])
            dropped = {key for key in result[name].keys() & foreign if f"{name}.{key}" not in settings}
            result[name] = {key: value for key, value in result[name].items() if key not in dropped}
    return result, [problem for problem in problems if problem]


def _keys_of_other_kinds(table: str, kind: Any) -> set[str]:
    """The keys of a table that comes in kinds which this kind lacks; none for a kind that does not exist."""
    kinds = _models_in(RunConfig.model_fields[table].annotation)
    own = next((model.model_fields.keys() for model in kinds if _is_of_kind(model, kind)), None)
    return set() if own is None else {key for model in kinds for key in model.model_fields} - own


def _is_of_kind(model: type[BaseModel], kind: Any) -> bool:
    return "kind" in model.model_fields and bool(model.model_fields["kind"].default == kind)


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
    """`1e-3` -> 0.001, `true` -> True, `[1, 2]` -> [1, 2], `cosine` -> 'cosine'; dates are text: no key takes one."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return text if isinstance(value, date | time) else value


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
    if details["type"] in {"model_type", "model_attributes_type"}:
        kind = details["input"] if any(_is_of_kind(m, details["input"]) for m in table) else None
        return f"{key}: is a table, not {details['input']!r}" + (f"; did you mean {key}.kind={kind}?" if kind else "")
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
        tagged = [m for m in tables if _is_of_kind(m, part)]
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
