"""What every table of a configuration has in common."""

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """A frozen TOML table that accepts no unknown key; the string under a field is its documentation."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
