"""Where the figures of a run go: JSON lines always, Weights & Biases when asked. The only user of wandb."""

import dataclasses
import uuid
from collections.abc import Callable
from typing import Any

from tinylm.configs.run import RunConfig
from tinylm.errors import TinylmError
from tinylm.files import json_text, write_text
from tinylm.training.reports import EvaluationReport, StepReport
from tinylm.training.run_directory import RunDirectory

WANDB_INIT_SECONDS = 30


class Tracker:
    """Writes a line per logged step and per evaluation; a context manager that closes what it opened."""

    def __init__(self, run: RunDirectory, config: RunConfig) -> None:
        self.log_every = config.train.log_every
        self._wandb = None if config.tracking.wandb == "off" else _start_wandb(run, config)
        self._lines = run.metrics_file.open("a", encoding="utf-8")

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        if self._wandb is not None:
            self._wandb.finish()

    def log(self, report: StepReport | EvaluationReport) -> None:
        """Record one report; steps between two multiples of `log_every` are left out."""
        if isinstance(report, StepReport) and report.step % self.log_every:
            return
        values = dataclasses.asdict(report)
        self._lines.write(json_text(values) + "\n")
        self._lines.flush()
        if self._wandb is not None:
            self._wandb.log({key: value for key, value in values.items() if key != "step"}, step=report.step)


def _start_wandb(run: RunDirectory, config: RunConfig) -> Any:
    """The run of that name there, or the one begun earlier when this run goes on."""
    import wandb

    if not run.wandb_id_file.is_file():
        write_text(run.wandb_id_file, uuid.uuid4().hex)
    settings = wandb.Settings(init_timeout=WANDB_INIT_SECONDS, silent=True)
    start: Callable[..., Any] = wandb.init
    try:
        return start(
            project=config.tracking.project,
            name=run.path.name,
            id=run.wandb_id_file.read_text(),
            dir=str(run.path),
            mode=config.tracking.wandb,
            config=config.model_dump(),
            resume="allow",
            settings=settings,
        )
    except wandb.errors.Error as error:
        raise TinylmError(f"wandb could not start ({error}); use --set tracking.wandb=offline, or off") from error
