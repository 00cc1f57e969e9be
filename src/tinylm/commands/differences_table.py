"""A table of the settings in which runs differ."""

from collections.abc import Mapping
from typing import Any

from tinylm.commands.console import table


def differences_table(different: Mapping[str, Mapping[str, Any]]) -> str:
    """A row for each name, a column for each setting; a line instead when there is none."""
    from tinylm.experiments.trials import short_keys, value_text

    keys = list(next(iter(different.values()), {}))
    if not keys:
        return "no settings differ"
    shown = short_keys(keys)
    rows = [
        [name, *("" if values[key] is None else value_text(values[key]) for key in keys)]
        for name, values in different.items()
    ]
    return table(["what differs", *(shown[key] for key in keys)], rows)
