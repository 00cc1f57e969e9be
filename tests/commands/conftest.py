"""A sweep that several commands' tests look at."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

SWEEP = """
base = "{base}"
[set]
train.eval_batches = 0
[grid]
"optim.lr" = [1e-2, 3e-2, 1e30]
"""


class Swept(NamedTuple):
    """A sweep that has run."""

    directory: Path
    file: Path
    values: dict[str, Any]
    """What `--json` printed."""
    stderr: str


@pytest.fixture(scope="session")
def swept(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """Three rates on the tiny model, two trials at a time; the last one diverges."""
    from tinylm.cli import app

    directory = tmp_path_factory.mktemp("swept")
    file = directory / "sweep.toml"
    file.write_text(SWEEP.format(base=prepared / "config.toml"))
    arguments = ["sweep", "--config", str(file), "--out", str(directory / "out"), "--jobs", "2", "--json"]
    result = CliRunner().invoke(app, arguments, prog_name="tinylm")
    assert result.exit_code == 0, result.output
    return Swept(directory / "out", file, json.loads(result.stdout), result.stderr)
