"""How far a run is, from the end of its `metrics.jsonl`."""

import json
from pathlib import Path
from typing import Any

from tinylm.configs.run import RunConfig

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


def share_done(config: RunConfig, step: dict[str, Any]) -> float:
    """Part of the training that lies behind a step."""
    return float(step["step"] / config.train.steps) if config.train.steps else 0.0
