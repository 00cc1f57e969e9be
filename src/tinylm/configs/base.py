"""What every table of a configuration has in common."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """A frozen TOML table that accepts no unknown key; the string under a field is its documentation."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def exactly_one(names: Sequence[str], values: Any, *, default: Mapping[str, Any]) -> Any:
    """`values` of a table, with `default` when none of the keys `names` is given.

    Raises: ValueError when several are, for they say the same thing in different units.
    """
    if not isinstance(values, Mapping):
        return values
    given = [name for name in names if values.get(name) is not None]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} are both given; keep one of them")
    return values if given else {**default, **values}
