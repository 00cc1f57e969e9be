"""A training run from configuration to summary."""

from collections.abc import Callable, Iterator
from pathlib import Path

from tinylm.configs.run import RunConfig
from tinylm.training.decision import Ended, Fresh, Resume, decide
from tinylm.training.device import choose_execution
from tinylm.training.inputs import Inputs, load_inputs
from tinylm.training.memory import require_memory
from tinylm.training.reports import Report
from tinylm.training.run_directory import RunDirectory
from tinylm.training.session import Session


def train_run(
    config: RunConfig,
    path: str | Path,
    *,
    force: bool = False,
    should_stop: Callable[[], bool] = lambda: False,
    profile_steps: int = 0,
) -> Iterator[Report]:
    """Train in the run directory `path`, going on where an earlier invocation ended; the last record is an EndReport.

    `should_stop` is asked after every step; when it says yes, a checkpoint is saved and the run ends as `stopped`.
    A run that is already complete yields its EndReport at once; asked for another evaluation at its end, it makes that
    one. With `force` it starts over. With `profile_steps` so many steps are profiled once the first ones are over.

    Raises: TinylmError when inputs or memory do not fit, another process writes this run, or no checkpoint is usable;
    the run is then as it was.
    """
    inputs = load_inputs(config)
    execution = choose_execution(config.train)
    require_memory(config, execution)
    run = RunDirectory(path)
    with run.writer():
        decision = decide(run, config, inputs, execution, force=force)
        if isinstance(decision, Ended):
            run.write_config(config)
            yield decision.end
            return
        session = Session(config, run, inputs, execution, profile_steps)
        if isinstance(decision, Resume):
            session.resume(decision)
        _begin(run, decision, config, inputs)
        yield from session.reports(should_stop)


def _begin(run: RunDirectory, decision: Fresh | Resume, config: RunConfig, inputs: Inputs) -> None:
    """Write what a run starts with; the summary goes first, for it must never stand beside settings not its own."""
    run.retract_summary()
    if isinstance(decision, Fresh):
        run.clear()
    run.write_config(config)
    inputs.tokenizer.save(run.tokenizer)
