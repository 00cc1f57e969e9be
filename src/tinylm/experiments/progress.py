"""How far a run is, and whether anyone is at it."""

import json
from pathlib import Path
from typing import Any

from tinylm.errors import TinylmError
from tinylm.files import lock

TAIL_BYTES = 4096
"""More than two lines of metrics."""


def latest_step(metrics: Path) -> dict[str, Any] | None:
    """The last whole line about a step; reads only the end of the file."""
    try:
        with metrics.open("rb") as stream:
            stream.seek(max(0, metrics.stat().st_size - TAIL_BYTES))
            lines = stream.read().split(b"\n")
    except FileNotFoundError:
        return None
    whole = (json.loads(line) for line in reversed(lines[:-1]) if line.startswith(b"{") and line.endswith(b"}"))
    return next((record for record in whole if "loss" in record), None)


def is_being_written(run: Path) -> bool:
    """Whether a process, of this or another program, holds the run's lock; not when the lock cannot be opened here."""
    if not (run / ".lock").exists():
        return False
    try:
        with lock(run / ".lock", ""):
            return False
    except OSError:
        return False
    except TinylmError:
        return True
